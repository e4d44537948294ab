"""Requests to one repository of a registry, with the authorisation that it asks for.

The login that is stored for a registry goes to that registry, and to the token server that the
registry itself names. A host that a request is redirected to gets neither login nor token, and
its own challenge is not answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import urllib3

from smforge.oci.reference import Reference
from smforge.oci.tokens import FindCredentials, authorization_for
from smforge.oci.transport import Transport, discard
from smforge.progress import SILENT, Progress


class Session:
    """Sends requests to a repository and answers its challenges."""

    def __init__(
        self, reference: Reference, credentials: FindCredentials, progress: Progress = SILENT
    ) -> None:
        """`credentials` is asked only when the registry wants some."""
        self.reference = reference
        self._find_credentials = credentials
        self._authorization: str | None = None
        self._transport = Transport(reference.host, progress)

    @contextmanager
    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request that may be sent again, whatever its status.

        Raises `ToolError` where nothing answers, the registry makes no progress, or no access is
        to be had.
        """

        def authorized(place: str) -> dict[str, str]:
            return self._authorized(place, headers)

        response, place = self._transport.follow(method, url, authorized, body)
        if self._is_challenge(response, place):
            response, place = self._transport.follow(method, url, authorized, body)
        try:
            yield response
        finally:
            if method == "GET":
                # Reading the rest of a blob costs more than a new connection.
                response.close()
            else:
                discard(response)

    def send_parts(
        self, method: str, url: str, headers: Mapping[str, str], parts: Iterator[bytes]
    ) -> urllib3.BaseHTTPResponse:
        """Send a body that can be read only once, so without repeating anything.

        A 401 renews the authorisation for the caller's next attempt and is returned like every
        other answer. Raises urllib3's `HTTPError` where the connection breaks off.
        """
        response = self._transport.send_parts(method, url, self._authorized(url, headers), parts)
        self._is_challenge(response, url)
        return response

    def pause(self, attempt: int, why: str, asked: float | None = None) -> None:
        """Wait before the `attempt`-th repetition, or for the seconds that Retry-After asked for.

        `why` is shown. Raises `ToolError` where the registry makes no progress.
        """
        self._transport.pause(attempt, why, asked)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _authorized(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` with the authorisation, for the registry's own host alone."""
        if self._authorization is None or not self._is_own(url):
            return dict(headers)
        return {**headers, "Authorization": self._authorization}

    def _is_challenge(self, response: urllib3.BaseHTTPResponse, place: str) -> bool:
        """Whether the registry itself asks for authorisation; the session then has it.

        `place` is the URL that gave the answer. Another host, to which the registry has
        redirected, would choose where the login is sent.
        """
        if response.status != 401 or not self._is_own(place):
            return False
        challenge = response.headers.get("WWW-Authenticate", "")
        discard(response)
        self._authorization = authorization_for(
            challenge, self.reference, self._find_credentials, self._transport
        )
        return True

    def _is_own(self, url: str) -> bool:
        own, other = urlsplit(self.reference.base), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)
