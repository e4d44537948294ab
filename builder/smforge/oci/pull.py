"""Reads manifests and blobs of a registry over the distribution API, without an engine.

Protocols: OCI distribution-spec 1.1 ("Pull"); RFC 9110 for ranges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.oci.documents import DOCUMENT_BYTES, INDEX_TYPES, MANIFEST_TYPES, digest_of
from smforge.oci.fields import list_of, parse_document, text_of
from smforge.oci.parts import PART_BYTES
from smforge.oci.reference import Reference
from smforge.oci.session import Session
from smforge.oci.tokens import FindCredentials
from smforge.oci.transport import asks_to_wait, bounded, look_at_clock, reason_of
from smforge.progress import SILENT, Progress
from smforge.retries import attempts

_ATTEMPTS = attempts("download")
_TAGS_AT_ONCE = 1000
_TAG_PAGES = 100
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))


class PullClient:
    """One repository of a registry, to read from."""

    def __init__(
        self, reference: Reference, credentials: FindCredentials, progress: Progress = SILENT
    ) -> None:
        """`credentials` is asked only when the registry wants some."""
        self._reference = reference
        self._session = Session(reference, credentials, progress)

    def manifest(self, version: str) -> tuple[bytes, str]:
        """Return a manifest or index by tag or digest, with its media type.

        Raises `DamagedInputError` where it has not the digest that the registry itself says.
        """
        url = f"{self._reference.base}/manifests/{version}"
        with self._get(url, {"Accept": ACCEPT}) as response:
            data = bounded(response, DOCUMENT_BYTES, url)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            said = response.headers.get("Docker-Content-Digest", "")
        if said.startswith("sha256:") and said != digest_of(data):
            raise DamagedInputError(
                f"{url} arrived with the digest {digest_of(data)}, and the registry says that its "
                f"digest is {said[:71]}.",
                remedy="Try again: it was damaged in transfer.",
            )
        return data, media_type

    def blob_parts(self, digest: str, size: int | None) -> Iterator[bytes]:
        """Yield a blob, unverified; if the connection breaks off, continue from there."""
        url = f"{self._reference.base}/blobs/{digest}"
        seen = 0
        why = ""
        for attempt in range(_ATTEMPTS):
            if attempt > 1:
                self._session.pause(attempt, why)
            try:
                for part in self._parts_from(url, seen):
                    seen += len(part)
                    yield part
            except HTTPError as error:
                why = reason_of(error)
                if attempt == _ATTEMPTS - 1:
                    raise ToolError(
                        f"{url} broke off {_ATTEMPTS} times, last at byte {seen}: {why}.",
                        remedy="Try again later, or fetch the image in another way.",
                    ) from error
            else:
                why = "a short answer"
                if size is None or seen >= size or attempt == _ATTEMPTS - 1:
                    return

    def tags(self) -> tuple[str, ...]:
        """All tags of the repository; none where the registry does not have it.

        Source: distribution-spec 1.1, "Listing Tags". Raises `ToolError` where the registry does
        not answer or goes on without end.
        """
        found: list[str] = []
        url: str | None = f"{self._reference.base}/tags/list?n={_TAGS_AT_ONCE}"
        for _ in range(_TAG_PAGES):
            if url is None:
                return tuple(found)
            with self._session.ask("GET", url, {}) as response:
                if response.status == 404:
                    return tuple(found)
                self._check(response, url)
                document = parse_document(bounded(response, DOCUMENT_BYTES, url), url)
                following = self._next_page(response, url)
            found += [text_of(tag, url) for tag in list_of(document.get("tags"), url)]
            url = following
        raise ToolError(f"{self._reference.host} lists more than {len(found)} tags.")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _next_page(self, response: urllib3.BaseHTTPResponse, url: str) -> str | None:
        """The URL of the next page of a list, of the same registry. Source: RFC 8288."""
        found = _NEXT.search(response.headers.get("Link", ""))
        if found is None:
            return None
        following = urljoin(url, str(found[1]))
        if urlsplit(following)[:2] != urlsplit(url)[:2]:
            raise DamagedInputError(f"{self._reference.host} continues a list on another host.")
        return following

    def _parts_from(self, url: str, start: int) -> Iterator[bytes]:
        # Identity, because a digest is that of the bytes as stored.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._get(url, headers) as response:
            skip = start
            if response.status == 206:
                offered = response.headers.get("Content-Range", "")
                if not offered.startswith(f"bytes {start}-"):
                    raise DamagedInputError(
                        f"{url} was asked for bytes from {start} on and sent {offered!r}."
                    )
                skip = 0
            for part in response.stream(PART_BYTES, decode_content=False):
                if skip >= len(part):
                    skip -= len(part)
                    continue
                yield part[skip:]
                skip = 0

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        with self._session.ask("GET", url, headers) as response:
            self._check(response, url)
            yield response

    def _check(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        host, written = self._reference.host, self._reference.written
        if response.status in {200, 206}:
            return
        if response.status in {401, 403}:
            raise ToolError(
                f"{host} refuses to show {written} (HTTP {response.status}).",
                remedy=f"Run docker login {host} with an account that may pull it."
                f"{look_at_clock(response)}",
            )
        if response.status == 404 and "/manifests/" in url:
            raise UsageError(f"{host} has no image {written}.")
        if response.status == 404:
            raise DamagedInputError(f"{host} lacks {url}, which the image refers to.")
        raise ToolError(
            f"{host} answers {url} with HTTP {response.status}{asks_to_wait(response)}.",
            remedy="Try again later.",
        )
