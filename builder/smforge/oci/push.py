"""Writes blobs and manifests to a repository of a registry over the distribution API.

A blob goes as docker sends it: POST for a place, one streamed PATCH, PUT with the digest. Where the
connection breaks off, the registry is asked how far it came and the rest follows; every registry
takes the first form, and a layer of gigabytes is not sent twice for one lost packet.

Protocol: OCI distribution-spec 1.1 ("Pushing blobs", "Mounting a blob from another repository",
"Pushing Manifests with Subject", "Referrers Tag Schema").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from smforge.errors import ToolError
from smforge.oci.documents import DOCUMENT_BYTES
from smforge.oci.pull import ACCEPT
from smforge.oci.reference import Reference, stays_secret
from smforge.oci.session import Session
from smforge.oci.tokens import FindCredentials
from smforge.oci.transport import asks_to_wait, bounded, look_at_clock, reason_of
from smforge.progress import SILENT, Progress
from smforge.retries import BUSY, asked_seconds, attempts

PartsFrom = Callable[[int], Iterator[bytes]]
"""Gives a blob's bytes from an offset on."""
_ATTEMPTS = attempts("upload")
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class PushClient:
    """One repository of a registry, to write to."""

    def __init__(
        self, reference: Reference, credentials: FindCredentials, progress: Progress = SILENT
    ) -> None:
        """`credentials` is asked only when the registry wants some."""
        self._reference = reference
        self._session = Session(reference, credentials, progress)

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has the blob already."""
        url = f"{self._reference.base}/blobs/{digest}"
        with self._session.ask("HEAD", url, {}) as response:
            if response.status in {200, 404}:
                return response.status == 200
            raise self._refused(response, url)

    def mount(self, digest: str, source: str) -> bool:
        """Take the blob over from the repository `source` of the same registry, if it has it."""
        query = urlencode({"mount": digest, "from": source})
        with self._session.ask("POST", f"{self._uploads}?{query}", {}) as response:
            # After any other answer the blob is uploaded; the upload then reports the error.
            return response.status == 201

    def upload(self, digest: str, size: int, parts_from: PartsFrom) -> None:
        """Send a blob. Raises `ToolError` if the registry refuses it or every attempt breaks
        off.
        """
        upload = _Upload(digest, size, parts_from)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._session.pause(attempt, upload.trouble, upload.retry_after)
                # The last request may have been carried out though its answer was lost.
                if self.has_blob(digest):
                    return
            try:
                if self._continue(upload):
                    return
            except HTTPError as error:
                upload.trouble = reason_of(error)
        raise ToolError(
            f"{self._reference.host} did not take blob {digest} of {size} bytes in {_ATTEMPTS} "
            f"attempts, the last of which ended with: {upload.trouble}.",
            remedy="Push again later: blobs that have arrived are not sent again.",
        )

    def put_manifest(self, version: str, data: bytes, media_type: str) -> bool:
        """Write a manifest or index; whether the registry keeps lists of referrers itself.

        `version` is a tag or the digest of `data`.
        """
        url = f"{self._reference.base}/manifests/{version}"
        with self._session.ask("PUT", url, {"Content-Type": media_type}, data) as response:
            if response.status != 201:
                raise self._refused(response, url)
            return "OCI-Subject" in response.headers

    def manifest(self, version: str) -> bytes | None:
        """The manifest or index behind a tag; None where there is none."""
        url = f"{self._reference.base}/manifests/{version}"
        with self._session.ask("GET", url, {"Accept": ACCEPT}) as response:
            if response.status == 404:
                return None
            if response.status != 200:
                raise self._refused(response, url)
            return bounded(response, DOCUMENT_BYTES, url)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @property
    def _uploads(self) -> str:
        return f"{self._reference.base}/blobs/uploads/"

    def _continue(self, upload: _Upload) -> bool:
        """Send what the registry lacks of a blob; False where another attempt may succeed."""
        upload.retry_after = None
        if upload.place is not None:
            self._look_after(upload, upload.place)
        if upload.place is None:
            upload.place, upload.received = self._place(), 0
        place = self._checked(upload.place)
        if upload.received < upload.size:
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(upload.size - upload.received),
            }
            if upload.received:
                headers["Content-Range"] = f"{upload.received}-{upload.size - 1}"
            parts = upload.parts_from(upload.received)
            answer = self._session.send_parts("PATCH", place, headers, parts)
            if answer.status != 202:
                return self._fails(upload, answer, place)
            place = self._checked(self._location(answer, place))
        return self._complete(upload, place)

    def _complete(self, upload: _Upload, place: str) -> bool:
        joiner = "&" if urlsplit(place).query else "?"
        url = f"{place}{joiner}{urlencode({'digest': upload.digest})}"
        answer = self._session.send_parts("PUT", url, {"Content-Length": "0"}, iter(()))
        return answer.status == 201 or self._fails(upload, answer, url)

    def _fails(self, upload: _Upload, answer: urllib3.BaseHTTPResponse, url: str) -> bool:
        """Note an answer that another attempt may change; raise the `ToolError` of any other."""
        if answer.status in {404, 416}:
            # The upload's place has expired, or has another content than expected.
            upload.place = None
        elif answer.status not in {401, *BUSY}:
            raise self._refused(answer, url)
        upload.trouble = f"HTTP {answer.status}"
        upload.retry_after = asked_seconds(answer.headers)
        return False

    def _place(self) -> str:
        with self._session.ask("POST", self._uploads, {"Content-Length": "0"}) as response:
            if response.status != 202:
                raise self._refused(response, self._uploads)
            return self._location(response, self._uploads)

    def _look_after(self, upload: _Upload, place: str) -> None:
        """Ask how much of an upload arrived; it starts again if the registry does not say."""
        with self._session.ask("GET", place, {}) as response:
            found = _RANGE.fullmatch(response.headers.get("Range", ""))
            received = int(found[1]) + 1 if found else 0
            # "0-0" says both none and one.
            if response.status == 204 and 1 < received <= upload.size:
                upload.place, upload.received = self._location(response, place), received
            else:
                upload.place = None

    def _location(self, response: urllib3.BaseHTTPResponse, url: str) -> str:
        """The URL at which the upload continues."""
        return urljoin(url, response.headers.get("Location", url))

    def _checked(self, place: str | None) -> str:
        """`place`, if what is sent there stays secret on the way."""
        if place is None or not stays_secret(place, self._reference.api):
            # Its path may hold a signature.
            there = "://".join(urlsplit(place or "")[:2])
            raise ToolError(f"{self._reference.host} sends uploads to {there}, not over HTTPS.")
        return place

    def _refused(self, response: urllib3.BaseHTTPResponse, url: str) -> ToolError:
        host = self._reference.host
        if response.status in {401, 403}:
            return ToolError(
                f"{host} does not let this account push to {self._reference.name} "
                f"(HTTP {response.status}).",
                remedy=f"Run docker login {host} with an account that may push there."
                f"{look_at_clock(response)}",
            )
        return ToolError(
            f"{host} answers {urlsplit(url).path} with HTTP {response.status}"
            f"{_message_in(response)}{asks_to_wait(response)}.",
            remedy="Try again later, or read the registry's log.",
        )


class _Upload:
    """The state of one blob's upload."""

    def __init__(self, digest: str, size: int, parts_from: PartsFrom) -> None:
        self.digest = digest
        self.size = size
        self.parts_from = parts_from
        self.place: str | None = None
        """The URL that takes the rest; None before it is known and after it has expired."""
        self.received = 0
        self.trouble = ""
        self.retry_after: float | None = None


def _message_in(response: urllib3.BaseHTTPResponse) -> str:
    """What the registry says about an error, if it does; distribution-spec 1.1, "Error Codes"."""
    try:
        message = json.loads(response.data)["errors"][0]["message"]
    except (ValueError, LookupError, TypeError, HTTPError):
        return ""
    return f": {message[:200]}" if isinstance(message, str) else ""
