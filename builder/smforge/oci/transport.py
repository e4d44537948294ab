"""Sends HTTP requests to registries, and sends them again where that may help.

urllib3 does the HTTP: it has no dependencies, drops nothing that was sent and trusts the system's
certificates (SSL_CERT_FILE points it at others). Redirects and repetitions are done here, because
the login must not follow a redirect, and what is left of an answer must not be read without limit.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from smforge import retries
from smforge.errors import DamagedInputError, ToolError
from smforge.oci.reference import is_loopback, stays_secret
from smforge.oci.time_budget import TimeBudget, use
from smforge.progress import SILENT, Progress
from smforge.retries import BUSY, asked_seconds, attempts, pause_seconds
from smforge.version import __version__

LONGEST_PAUSE_SECONDS = retries.LONGEST_PAUSE_SECONDS
_ATTEMPTS = attempts("request")
_REDIRECTS = 5
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_UPLOAD_SECONDS = 600
"""Seconds to wait: a registry answers only after it has hashed, and often copied, gigabytes."""
_REST_BYTES = 64 << 10
"""The most bytes of an unwanted answer that are read to keep the connection."""

Headers = Mapping[str, str]


class Transport:
    """The connections of one session."""

    def __init__(self, host: str, progress: Progress = SILENT) -> None:
        """`host` is named where it makes no progress; `progress` shows what is waited for."""
        self.budget = TimeBudget(host)
        self._host = host
        self._progress = progress
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def follow(
        self, method: str, url: str, headers_for: Callable[[str], Headers], body: bytes = b""
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """Return the answer to a request that may be sent again, and the URL that gave it.

        `headers_for` gives the headers for the URL and for each URL that it is redirected to.
        Raises `ToolError` where nothing answers, and for a redirect to plain HTTP elsewhere.
        """
        for _ in range(_REDIRECTS + 1):
            response = self.send(method, url, headers_for(url), body)
            place = response.get_redirect_location()
            if not place:
                return response, url
            discard(response)
            url = _redirected(url, place)
            if response.status == 303:
                method, body = "GET", b""
        raise ToolError(f"{urlsplit(url).netloc} redirects more than {_REDIRECTS} times.")

    def send(
        self, method: str, url: str, headers: Headers, body: bytes = b""
    ) -> urllib3.BaseHTTPResponse:
        """Return the answer to a request that may be sent again, a redirect included.

        Raises `ToolError` where nothing answers.
        """
        asked: float | None = None
        why = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.pause(attempt, why, asked)
            last = attempt == _ATTEMPTS - 1
            try:
                response = self._sent(method, url, headers, body or None, _TIMEOUT)
            except (HTTPError, UnicodeError, ValueError) as error:
                asked, why = None, reason_of(error)
                if last or not _may_pass(error):
                    raise ToolError(
                        f"{urlsplit(url).netloc} cannot be reached: {why}.",
                        remedy=remedy_for(error),
                    ) from error
                continue
            if last or response.status not in BUSY:
                self.budget.answered()
                return response
            asked, why = asked_seconds(response.headers), f"HTTP {response.status}"
            discard(response)
        raise AssertionError("the last attempt returns or raises")

    def send_parts(
        self, method: str, url: str, headers: Headers, parts: Iterator[bytes]
    ) -> urllib3.BaseHTTPResponse:
        """Send a body that can be read only once, so without repeating or following anything.

        Raises urllib3's `HTTPError` where the connection breaks off.
        """
        self.budget.allow(_UPLOAD_SECONDS)
        timeout = urllib3.Timeout(connect=10, read=_UPLOAD_SECONDS)
        response = self._sent(method, url, headers, parts, timeout, whole=True)
        self.budget.answered()
        return response

    def pause(self, attempt: int, why: str, asked: float | None = None) -> None:
        """Wait before the `attempt`-th repetition, or for the seconds that Retry-After asked for.

        `why` is shown by the progress. Raises `ToolError` when no budget is left.
        """
        seconds = pause_seconds(attempt, asked, LONGEST_PAUSE_SECONDS)
        self._progress.item(f"again in {seconds:.0f} s: {why} from {self._host}")
        self.budget.pause(seconds)
        self._progress.item("")

    def close(self) -> None:
        """Close the connections."""
        for manager in self._pools.values():
            # Clearing alone leaves that to the garbage collector, which waits for old tracebacks.
            for key in manager.pools.keys():  # noqa: SIM118 - it has no other iterator
                if (pool := manager.pools.get(key)) is not None:
                    pool.close()
            manager.clear()

    def _sent(  # noqa: PLR0913 - a request
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | Iterator[bytes] | None,
        timeout: urllib3.Timeout,
        *,
        whole: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        return self._pool(url).request(
            method,
            url,
            headers={"User-Agent": f"smforge/{__version__}", **headers},
            body=body,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=whole,
        )

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if is_loopback(parts.netloc) or urllib.request.proxy_bypass(parts.netloc):
            proxy = None
        if proxy not in self._pools:
            manager = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
            self._pools[proxy] = use(self.budget, manager)
        return self._pools[proxy]


def _redirected(url: str, place: str) -> str:
    """Return where a redirect leads; raise `ToolError` where it leaves HTTPS."""
    asked = urlsplit(url).netloc
    try:
        target = urljoin(url, place)
    except ValueError:
        target = ""
    if not stays_secret(target, asked):
        # Its path may hold a signature.
        there = "://".join(urlsplit(target)[:2]) if target else "no URL"
        raise ToolError(f"{asked} redirects to {there}, which is not HTTPS.")
    return target


def _may_pass(error: Exception) -> bool:
    """Whether a failure may be over at the next attempt.

    A URL that cannot be one stays so, and a certificate that is not trusted.
    """
    return not isinstance(error, ValueError) and "CERTIFICATE_VERIFY_FAILED" not in str(error)


def remedy_for(error: BaseException) -> str:
    """What can be done where a server cannot be reached."""
    if "not yet valid" in str(error) or "has expired" in str(error):
        return (
            "Its certificate is not valid at this machine's time: look at the clock ('date'), "
            "then at the certificate."
        )
    return "Check the name, the network and the proxy settings."


def asks_to_wait(response: urllib3.BaseHTTPResponse) -> str:
    """`` and asks to wait 3600 seconds``, where an answer does so."""
    asked = asked_seconds(response.headers)
    return "" if asked is None else f" and asks to wait {asked:.0f} seconds"


def look_at_clock(response: urllib3.BaseHTTPResponse) -> str:
    """What else may help where a registry refuses a token: it may count as expired, or not yet
    valid, because two clocks differ.
    """
    date = response.headers.get("Date")
    if response.status != 401 or date is None:
        return ""
    return f" Or look at the clocks ('date'): the registry says that it is {date}."


def bounded(response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
    """Read a short answer. Raises `DamagedInputError` for one of more than `limit` bytes."""
    try:
        data = response.read(limit + 1)
    except HTTPError as error:
        raise ToolError(f"{what} broke off: {reason_of(error)}.", remedy="Try again.") from error
    if len(data) > limit:
        raise DamagedInputError(f"{what} is longer than {limit} bytes.")
    return data


def discard(response: urllib3.BaseHTTPResponse) -> None:
    """Return the connection of an unwanted answer, or close it if much is left to read."""
    with contextlib.suppress(HTTPError):
        response.read(_REST_BYTES, decode_content=False)
    response.close()


def reason_of(error: BaseException) -> str:
    """Return the innermost cause; urllib3 wraps it in the URL, which may carry a signature."""
    inner = getattr(error, "reason", None) or error.args[-1:]
    if isinstance(inner, tuple) and inner:
        inner = inner[0]
    return reason_of(inner) if isinstance(inner, BaseException) else str(error).rpartition(": ")[2]
