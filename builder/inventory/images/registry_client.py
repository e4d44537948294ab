"""Reads manifests and blobs of a registry over the distribution API, without an engine.

urllib3 does the HTTP: it has no dependencies, retries with back-off and Retry-After, drops the
Authorization header when a blob is redirected to another host, and trusts the system's
certificates (SSL_CERT_FILE points it at others).

Protocols: OCI distribution-spec 1.1 ("Pull"); "Token Authentication Specification" and "OAuth2" of
the distribution project; RFC 9110 for challenges and ranges.
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

from builder import __version__
from builder.errors import DamagedInputError, ToolError, UsageError
from builder.inventory.images.credentials import Credentials
from builder.inventory.images.manifest import DOCUMENT_BYTES, INDEX_TYPES, MANIFEST_TYPES
from builder.inventory.images.reading import PART_BYTES
from builder.inventory.images.reference import Reference, is_loopback

_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_BUSY = (408, 429, 500, 502, 503, 504)
_RESUMES = 8
"""How often a blob may break off and be taken up again."""
_LONGEST_PAUSE_SECONDS = 20
_TOKEN_BYTES = 1 << 20
_ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))


class RegistryClient:
    """One repository of a registry."""

    def __init__(
        self, reference: Reference, credentials: Callable[[str], Credentials | None]
    ) -> None:
        """`credentials` is asked once, and only when the registry wants some."""
        self._reference = reference
        self._find_credentials = credentials
        self._authorization: str | None = None
        self._pool = _pool(reference.base)

    def manifest(self, version: str) -> tuple[bytes, str]:
        """Return a manifest or index by tag or digest, unverified, with its media type."""
        url = f"{self._reference.base}/manifests/{version}"
        with self._get(url, {"Accept": _ACCEPT}) as response:
            data = _bounded(response, DOCUMENT_BYTES, url)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return data, media_type

    def blob_parts(self, digest: str, size: int | None) -> Iterator[bytes]:
        """Yield a blob, unverified; where the connection breaks off, take up from there."""
        url = f"{self._reference.base}/blobs/{digest}"
        seen = 0
        for attempt in range(_RESUMES + 1):
            if attempt > 1:
                time.sleep(min(0.25 * 2**attempt, _LONGEST_PAUSE_SECONDS))
            try:
                for part in self._parts_from(url, seen):
                    seen += len(part)
                    yield part
            except HTTPError as error:
                if attempt == _RESUMES:
                    raise ToolError(
                        f"{url} broke off {_RESUMES + 1} times, last at byte {seen}: {error}."
                    ) from error
            else:
                if size is None or seen >= size or attempt == _RESUMES:
                    return

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

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
        """Ask for `url`, with authorisation if the registry insists."""
        response = self._request(url, headers)
        if response.status == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            response.drain_conn()
            self._authorization = self._answer(challenge)
            response = self._request(url, headers)
        try:
            self._check(response, url)
            yield response
        finally:
            # Whatever was not read is not worth reading to keep the connection.
            response.close()

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        own = {"Authorization": self._authorization} if self._authorization else {}
        return _sent(self._pool, "GET", url, {**headers, **own})

    def _check(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        host, written = self._reference.host, self._reference.written
        if response.status in {200, 206}:
            return
        if response.status in {401, 403}:
            raise ToolError(
                f"{host} refuses to show {written} (HTTP {response.status}).",
                remedy=f"Run docker login {host} with an account that may pull it.",
            )
        if response.status == 404 and "/manifests/" in url:
            raise UsageError(f"{host} has no image {written}.")
        if response.status == 404:
            raise DamagedInputError(f"{host} lacks {url}, which the image refers to.")
        raise ToolError(
            f"{host} answers {url} with HTTP {response.status}.", remedy="Try again later."
        )

    def _answer(self, challenge: str) -> str:
        """Return the Authorization header that `challenge` asks for."""
        scheme, _, rest = challenge.partition(" ")
        values = urllib.request.parse_keqv_list(
            [item for item in urllib.request.parse_http_list(rest) if "=" in item]
        )
        found = self._find_credentials(self._reference.credentials)
        if scheme.lower() == "basic":
            if found is None or not found.username:
                raise ToolError(
                    f"{self._reference.host} asks for a login.",
                    remedy=f"Run docker login {self._reference.host}.",
                )
            return _basic(found)
        if scheme.lower() == "bearer" and "realm" in values:
            return f"Bearer {self._token(values, found)}"
        raise ToolError(f"{self._reference.host} asks for authorisation of an unknown kind.")

    def _token(self, challenge: Mapping[str, str], found: Credentials | None) -> str:
        realm = challenge["realm"]
        parts = urlsplit(realm)
        here = is_loopback(parts.netloc) and is_loopback(self._reference.api)
        if parts.scheme != "https" and not (here and parts.scheme == "http"):
            raise ToolError(
                f"{self._reference.host} sends logins to {realm!r}, which is not HTTPS."
            )
        fields = {
            "service": challenge.get("service", ""),
            "scope": challenge.get("scope", f"repository:{self._reference.name}:pull"),
        }
        pool = _pool(realm)
        if found is not None and found.identity_token:
            fields |= {
                "grant_type": "refresh_token",
                "refresh_token": found.identity_token,
                "client_id": "smforge",
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = _sent(pool, "POST", realm, headers, urlencode(fields))
        else:
            headers = {"Authorization": _basic(found)} if found else {}
            joiner = "&" if parts.query else "?"
            response = _sent(pool, "GET", f"{realm}{joiner}{urlencode(fields)}", headers)
        try:
            return self._token_of(response)
        finally:
            response.close()
            pool.clear()

    def _token_of(self, response: urllib3.BaseHTTPResponse) -> str:
        host = self._reference.host
        if response.status != 200:
            raise ToolError(
                f"{host} gives no access to {self._reference.written} (HTTP {response.status}).",
                remedy=f"Run docker login {host} with an account that may pull it.",
            )
        try:
            answer = json.loads(_bounded(response, _TOKEN_BYTES, f"The token of {host}"))
            token = answer.get("token") or answer["access_token"]
        except (ValueError, KeyError, AttributeError) as error:
            raise ToolError(f"{host} gave no readable token.") from error
        if not isinstance(token, str) or not token.isprintable():
            raise ToolError(f"{host} gave no readable token.")
        return token


def _sent(
    pool: urllib3.PoolManager, method: str, url: str, headers: Mapping[str, str], body: str = ""
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
            f"{urlsplit(url).netloc} cannot be reached: {_reason(error)}.",
            remedy="Check the name, the network and the proxy settings.",
        ) from error


def _reason(error: BaseException) -> str:
    """Return the innermost cause; urllib3 wraps it in the URL, which may carry a signature."""
    inner = getattr(error, "reason", None)
    return _reason(inner) if isinstance(inner, BaseException) else str(error).rpartition(": ")[2]


def _pool(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    retries = urllib3.Retry(
        total=6,
        redirect=5,
        status_forcelist=_BUSY,
        allowed_methods={"GET", "POST"},
        backoff_factor=0.5,
        backoff_max=_LONGEST_PAUSE_SECONDS,
        backoff_jitter=0.5,
        retry_after_max=60,
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


def _bounded(response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
    try:
        data = response.read(limit + 1)
    except HTTPError as error:
        raise ToolError(f"{what} broke off: {_reason(error)}.", remedy="Try again.") from error
    if len(data) > limit:
        raise DamagedInputError(f"{what} is longer than {limit} bytes.")
    return data
