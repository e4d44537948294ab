"""pip's finder and its session, with the site's settings.

They are internal to pip; what is used of them is confined to this package, and tests fetch for
real.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from smforge.errors import ToolError
from smforge.progress import SILENT, Progress
from smforge.retries import BUSY, LONGEST_PAUSE_SECONDS, asked_seconds, attempts, pause_seconds


@dataclass(frozen=True, slots=True)
class PipTools:
    """What pip's own commands work with."""

    command: Any
    options: Any
    session: Any
    refusals: list[str]
    """What servers answered in place of what was asked: ``HTTP 429 from index.example``. pip takes
    the page of an index that refuses for an empty one."""

    def finder(self, target: Any = None) -> Any:
        """A finder of releases for a `TargetPython`; None stands for this Python."""
        return self.command._build_package_finder(
            options=self.options, session=self.session, target_python=target
        )


@contextmanager
def pip_tools(arguments: Sequence[str], progress: Progress = SILENT) -> Iterator[PipTools]:
    """Open pip's tools as ``pip download`` with these arguments has them.

    `progress` shows what is waited for. Raises `ToolError` where pip is missing.
    """
    try:
        from pip._internal.commands import create_command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise ToolError(
            "pip is not installed, so nothing can be fetched.",
            remedy="Install pip beside smforge, or name a file that is here.",
        ) from error
    # pip's warnings are about the site's settings; what fails is said by the errors raised.
    logging.getLogger("pip").addHandler(logging.NullHandler())
    command: Any = create_command("download")
    # What is fetched has its own place in smforge's cache, so pip keeps no second copy.
    options, _ = command.parse_args([*arguments, "--quiet", "--no-cache-dir"])
    with command.main_context():
        session = command.get_default_session(options)
        _repeat(session, progress)
        refusals: list[str] = []

        def hear(answer: Any, *_: Any, **__: Any) -> None:
            if answer.status_code >= 400 and answer.status_code not in {404, 410}:
                host = urlsplit(answer.url).hostname
                refusals.append(f"HTTP {answer.status_code} from {host}")

        session.hooks["response"].append(hear)
        yield PipTools(command, options, session, refusals)


def _repeat(session: Any, progress: Progress) -> None:
    """Let requests be sent again as retries.json says.

    pip's own rules do not repeat a 429 without Retry-After, and wait as long as Retry-After says,
    which may be hours.
    """
    from pip._vendor.urllib3 import Retry  # noqa: PLC0415 - loads pip

    class Repeated(Retry):
        def sleep(self, response: Any = None) -> None:
            asked = None if response is None else asked_seconds(response.headers)
            why = "no answer" if response is None else f"HTTP {response.status}"
            seconds = pause_seconds(len(self.history), asked, LONGEST_PAUSE_SECONDS)
            progress.item(f"again in {seconds:.0f} s: {why} from the package index")
            time.sleep(seconds)
            progress.item("")

    rule = Repeated(
        total=attempts("index_request") - 1,
        status_forcelist=BUSY,
        # The last answer is returned, so that its status can be named.
        raise_on_status=False,
    )
    for adapter in session.adapters.values():
        if hasattr(adapter, "max_retries"):
            adapter.max_retries = rule
