"""Brings a file from an address, asking again where that may help, as retries.json says.

A file that breaks off is fetched from its start: servers that pack an archive when it is asked for
give no ranges.
"""

from __future__ import annotations

import ssl
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from smforge.retries import BUSY, LONGEST_PAUSE_SECONDS, asked_seconds, attempts, pause_seconds

_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Failed:
    why: str
    may_pass: bool
    asked: float | None = None
    """Seconds that the server asks to wait."""


def download_of_address(location: str, ca_bundle: Path | None, file: Path) -> str | None:
    """Write what is at `location` to `file`; the result is why that failed, None where it did not.

    Raises `OSError` where the file cannot be written.
    """
    context = ssl.create_default_context(cafile=ca_bundle)
    failed = _attempt(location, context, file)
    for attempt in range(1, attempts("index_download")):
        if failed is None or not failed.may_pass:
            break
        time.sleep(pause_seconds(attempt, failed.asked, LONGEST_PAUSE_SECONDS))
        failed = _attempt(location, context, file)
    return None if failed is None else failed.why


def _attempt(location: str, context: ssl.SSLContext, file: Path) -> _Failed | None:
    with file.open("wb") as written:
        try:
            answer = urllib.request.urlopen(  # noqa: S310  # versions.json admits http and https only
                location, timeout=_TIMEOUT_SECONDS, context=context
            )
        except HTTPError as error:
            with error:
                headers = {name.title(): text for name, text in error.headers.items()}
                return _Failed(str(error), error.code in BUSY, asked_seconds(headers))
        except (OSError, HTTPException) as error:
            return _Failed(str(error), "CERTIFICATE_VERIFY_FAILED" not in str(error))
        with answer:
            while True:
                try:
                    part = answer.read(_CHUNK)
                except (OSError, HTTPException) as error:
                    return _Failed(str(error), may_pass=True)
                if not part:
                    break
                written.write(part)
            if answer.length:
                why = f"the connection ended {answer.length} bytes early"
                return _Failed(why, may_pass=True)
    return None
