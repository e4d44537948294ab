"""Requests to one repository of a registry, with the authorisation that it asks for.

urllib3 does the HTTP: it has no dependencies, retries with back-off and Retry-After, drops the
Authorization header when a blob is redirected to another host, and trusts the system's
certificates (SSL_CERT_FILE points it at others).

Protocols: "Token Authentication Specification" and "OAuth2" of the distribution project; RFC 9110
for challenges.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from smforge import __version__
from smforge.errors import DamagedInputError, ToolError
from smforge.oci.credentials import Credentials
from smforge.oci.reference import Reference, is_loopback

BUSY = (408, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""
LONGEST_PAUSE_SECONDS = 20
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_UPLOAD_TIMEOUT = urllib3.Timeout(connect=10, read=600)
"""A registry answers when it has hashed, and often copied, gigabytes."""
_TOKEN_BYTES = 1 << 20


class Session:
    """Sends requests to a repository and answers its challenges."""

    def __init__(
        self, reference: Reference, credentials: Callable[[str], Credentials | None]
    ) -> None:
        """`credentials` is asked only when the registry wants some."""
        self.reference = reference
        self._find_credentials = credentials
        self._authorization: str | None = None
        self._pool = _pool(reference.base)

    @contextmanager
    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a request that may be sent again, whatever its status.

        Raises `ToolError` where nothing answers, or no access is to be had.
        """
        response = _sent(self._pool, method, url, self._authorized(url, headers), body)
        if self._is_challenge(response, url):
            response = _sent(self._pool, method, url, self._authorized(url, headers), body)
        try:
            yield response
        finally:
            if method != "GET":
                response.drain_conn()
            # What is left of a blob is not worth reading to keep the connection.
            response.close()

    def send_parts(
        self, method: str, url: str, headers: Mapping[str, str], parts: Iterator[bytes]
    ) -> urllib3.BaseHTTPResponse:
        """Send a body that can be read only once, so without repeating anything.

        A 401 renews the authorisation for the caller's next attempt and is returned like every
        other answer. Raises urllib3's `HTTPError` where the connection breaks off.
        """
        response = self._pool.request(
            method,
            url,
            headers={**self._pool.headers, **self._authorized(url, headers)},
            body=parts,
            retries=False,
            redirect=False,
            timeout=_UPLOAD_TIMEOUT,
        )
        self._is_challenge(response, url)
        return response

    def close(self) -> None:
        """Close the connections."""
        # Clearing alone leaves that to the garbage collector, which waits for old tracebacks.
        for key in self._pool.pools.keys():  # noqa: SIM118 - it has no other iterator
            if (pool := self._pool.pools.get(key)) is not None:
                pool.close()
        self._pool.clear()

    def _authorized(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` with the authorisation, for the registry's own host alone."""
        if self._authorization is None or not self._is_own(url):
            return dict(headers)
        return {**headers, "Authorization": self._authorization}

    def _is_challenge(self, response: urllib3.BaseHTTPResponse, url: str) -> bool:
        """Whether the registry asks for authorisation; the session then has it."""
        if response.status != 401 or not self._is_own(url):
            return False
        challenge = response.headers.get("WWW-Authenticate", "")
        response.drain_conn()
        self._authorization = self._answer(challenge)
        return True

    def _is_own(self, url: str) -> bool:
        own, other = urlsplit(self.reference.base), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def _answer(self, challenge: str) -> str:
        """Return the Authorization header that `challenge` asks for."""
        scheme, _, rest = challenge.partition(" ")
        values = urllib.request.parse_keqv_list(
            [item for item in urllib.request.parse_http_list(rest) if "=" in item]
        )
        found = self._find_credentials(self.reference.credentials)
        if scheme.lower() == "basic":
            if found is None or not found.username:
                raise ToolError(
                    f"{self.reference.host} asks for a login.",
                    remedy=f"Run docker login {self.reference.host}.",
                )
            return _basic(found)
        if scheme.lower() == "bearer" and "realm" in values:
            return f"Bearer {self._token(values, found)}"
        raise ToolError(f"{self.reference.host} asks for authorisation of an unknown kind.")

    def _token(self, challenge: Mapping[str, str], found: Credentials | None) -> str:
        realm = challenge["realm"]
        parts = urlsplit(realm)
        here = is_loopback(parts.netloc) and is_loopback(self.reference.api)
        if parts.scheme != "https" and not (here and parts.scheme == "http"):
            raise ToolError(f"{self.reference.host} sends logins to {realm!r}, which is not HTTPS.")
        scopes = challenge.get("scope", f"repository:{self.reference.name}:pull")
        fields: dict[str, str | list[str]] = {
            "service": challenge.get("service", ""),
            "scope": scopes.split(),
        }
        pool = _pool(realm)
        if found is not None and found.identity_token:
            fields |= {
                "grant_type": "refresh_token",
                "refresh_token": found.identity_token,
                "client_id": "smforge",
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = _sent(pool, "POST", realm, headers, urlencode(fields, doseq=True).encode())
        else:
            headers = {"Authorization": _basic(found)} if found else {}
            joiner = "&" if parts.query else "?"
            response = _sent(
                pool, "GET", f"{realm}{joiner}{urlencode(fields, doseq=True)}", headers
            )
        try:
            return self._token_of(response)
        finally:
            response.close()
            pool.clear()

    def _token_of(self, response: urllib3.BaseHTTPResponse) -> str:
        host = self.reference.host
        if response.status != 200:
            raise ToolError(
                f"{host} gives no access to {self.reference.written} (HTTP {response.status}).",
                remedy=f"Run docker login {host} with an account that has access.",
            )
        try:
            answer = json.loads(bounded(response, _TOKEN_BYTES, f"The token of {host}"))
            token = answer.get("token") or answer["access_token"]
        except (ValueError, KeyError, AttributeError) as error:
            raise ToolError(f"{host} gave no readable token.") from error
        if not isinstance(token, str) or not token.isprintable():
            raise ToolError(f"{host} gave no readable token.")
        return token


def _sent(
    pool: urllib3.PoolManager, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> urllib3.BaseHTTPResponse:
    try:
        return pool.request(
            method,
            url,
            headers={**pool.headers, **headers},
            body=body or None,
            preload_content=False,
        )
    except (HTTPError, UnicodeError) as error:
        raise ToolError(
            f"{urlsplit(url).netloc} cannot be reached: {reason_of(error)}.",
            remedy="Check the name, the network and the proxy settings.",
        ) from error


def pause(attempt: int, asked: str | None = None) -> None:
    """Wait before the `attempt`-th repetition, or for the seconds that Retry-After asked for."""
    longest = 3 * LONGEST_PAUSE_SECONDS
    if asked is not None and asked.isdecimal():
        time.sleep(min(int(asked), longest))
    else:
        time.sleep(min(0.25 * 2**attempt, LONGEST_PAUSE_SECONDS))


def reason_of(error: BaseException) -> str:
    """Return the innermost cause; urllib3 wraps it in the URL, which may carry a signature."""
    inner = getattr(error, "reason", None)
    return reason_of(inner) if isinstance(inner, BaseException) else str(error).rpartition(": ")[2]


def _pool(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    retries = urllib3.Retry(
        total=6,
        redirect=5,
        status_forcelist=BUSY,
        allowed_methods={"GET", "HEAD", "POST", "PUT"},
        backoff_factor=0.5,
        backoff_max=LONGEST_PAUSE_SECONDS,
        backoff_jitter=0.5,
        retry_after_max=3 * LONGEST_PAUSE_SECONDS,
        raise_on_status=False,
    )
    headers = {"User-Agent": f"smforge/{__version__}"}
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not is_loopback(parts.netloc) and not urllib.request.proxy_bypass(parts.netloc):
        return urllib3.ProxyManager(proxy, headers=headers, timeout=_TIMEOUT, retries=retries)
    return urllib3.PoolManager(headers=headers, timeout=_TIMEOUT, retries=retries)


def _basic(found: Credentials) -> str:
    pair = f"{found.username}:{found.password}"
    return urllib3.make_headers(basic_auth=pair)["authorization"]


def bounded(response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
    """Read a short answer. Raises `DamagedInputError` for one of more than `limit` bytes."""
    try:
        data = response.read(limit + 1)
    except HTTPError as error:
        raise ToolError(f"{what} broke off: {reason_of(error)}.", remedy="Try again.") from error
    if len(data) > limit:
        raise DamagedInputError(f"{what} is longer than {limit} bytes.")
    return data
