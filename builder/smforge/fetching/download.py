"""Downloads one file, checks its digest, and continues where a connection broke off.

Protocol: RFC 9110 for ranges.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from smforge.errors import (
    DamagedInputError,
    LimitExceededError,
    NoRoomError,
    OutputError,
    ToolError,
    UsageError,
)
from smforge.files import require_room, temporary_folder
from smforge.progress import SILENT, Progress
from smforge.retries import BUSY, LONGEST_PAUSE_SECONDS, attempts, pause_seconds

MOST_BYTES: Final = 64 << 30
"""The largest file that is fetched."""
_PART: Final = 1 << 18
_WAIT_SECONDS: Final = 120.0
_LEAST_BYTES_PER_SECOND: Final = 16 << 10
_ATTEMPTS: Final = attempts("index_download")
"""A server may keep us waiting `_WAIT_SECONDS` in all, and this much longer for what it sends."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch."""

    url: str
    name: str
    """Its name in messages."""
    hashes: tuple[tuple[str, str], ...] = ()
    """Algorithm and hexadecimal digest, each of which it must have."""
    secure: bool = True
    """Whether every address on the way must be HTTPS, or of this machine."""


def download(
    session: Any, wanted: Wanted, folder: Path, progress: Progress = SILENT
) -> tuple[Path, str]:
    """Fetch a file into a new one below `folder`; return its path and its SHA-256.

    The caller renames or removes it. Raises `NotKeptError` where the folder cannot take it,
    `ToolError` where the server does not give it or makes
    no progress, `LimitExceededError` where it is too long, and `DamagedInputError` where it has
    another digest than wanted.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False)  # noqa: SIM115
    except OSError as error:
        raise NotKeptError(error.strerror or str(error)) from error
    try:
        with file:
            sha256 = _Download(session, wanted, file, progress).run()
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
    return Path(file.name), sha256


def download_to(
    session: Any, wanted: Wanted, folder: Path, progress: Progress = SILENT
) -> tuple[Path, str, bool]:
    """As `download`, and into a temporary folder where `folder` cannot take the file.

    The last value says whether it is in `folder`. Raises `OutputError` where no folder takes it.
    """
    try:
        return *download(session, wanted, folder, progress), True
    except NotKeptError as error:
        progress.note(
            f"{wanted.name} is not kept for the next time: {folder} cannot take it ({error})."
        )
    place = temporary_folder()
    try:
        return *download(session, wanted, place, progress), False
    except NotKeptError as error:
        raise OutputError(
            f"{wanted.name} cannot be kept in {folder}, and not in {place} either: {error}.",
            remedy="Free space, or set XDG_CACHE_HOME or TMPDIR to a folder with room.",
        ) from error


class NotKeptError(Exception):
    """The folder cannot take the file: `str` says why."""


class _Download:
    def __init__(self, session: Any, wanted: Wanted, file: IO[bytes], progress: Progress) -> None:
        self._session = session
        self._wanted = wanted
        self._file = file
        self._done = 0
        self._whole: int | None = None
        self._started = time.monotonic()
        self._progress = progress
        self._restart()
        progress.task(f"fetching {wanted.name}", lambda: (self._done, self._whole))

    def run(self) -> str:
        for attempt in range(_ATTEMPTS):
            if attempt > 1:
                self._pause(attempt)
            try:
                for part in self._parts():
                    self._take(part)
                if self._whole is None or self._done >= self._whole:
                    break
                broken: Exception = OSError("the connection ended early")
            except OSError as error:
                # Those of requests are OSErrors too.
                broken = error
            except Exception as error:
                if not type(error).__module__.startswith(("pip.", "http.client")):
                    raise
                broken = error
            if attempt == _ATTEMPTS - 1 or not self._done:
                raise ToolError(
                    f"{self._wanted.name} cannot be fetched from {self._host}: {_reason(broken)}.",
                    remedy="Try again, or fetch it in another way and name the file.",
                ) from broken
        self._check()
        return self._digests["sha256"].hexdigest()

    def _pause(self, attempt: int) -> None:
        seconds = pause_seconds(attempt, None, LONGEST_PAUSE_SECONDS)
        self._progress.item(f"again in {seconds:.0f} s: {self._host} broke off")
        time.sleep(seconds)
        self._progress.item("")

    @property
    def _host(self) -> str:
        return urlsplit(self._wanted.url).hostname or "the server"

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._done = 0
        names = {"sha256", *(name for name, _ in self._wanted.hashes)}
        self._digests = {name: hashlib.new(name) for name in names}

    def _parts(self) -> Iterator[bytes]:
        # Identity, because a digest is that of the bytes as stored.
        headers = {"Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
        response = self._session.get(self._wanted.url, stream=True, headers=headers)
        try:
            self._check_answer(response)
            raw = response.raw
            while part := _some(raw):
                yield part
        finally:
            response.close()

    def _check_answer(self, response: Any) -> None:
        name = self._wanted.name
        if self._wanted.secure:
            for one in (*response.history, response):
                check_address(one.url)
        if response.status_code == 206:
            offered = response.headers.get("Content-Range", "")
            if not offered.startswith(f"bytes {self._done}-"):
                raise DamagedInputError(
                    f"{self._host} was asked for {name} from byte {self._done} on and sent "
                    f"{offered!r}."
                )
            return
        if response.status_code != 200:
            raise ToolError(
                f"{self._host} answers HTTP {response.status_code} for {name}.",
                remedy="Try again later."
                if response.status_code in BUSY
                else "Check the name, pip's index settings and its credentials.",
            )
        if self._done:
            self._restart()
        length = response.headers.get("Content-Length", "")
        self._whole = int(length) if length.isdecimal() else None
        if self._whole is not None and self._whole > MOST_BYTES:
            raise _too_long(name)
        if self._whole is not None:
            try:
                require_room(Path(self._file.name).parent, self._whole, name, "set XDG_CACHE_HOME")
            except NoRoomError as error:
                raise NotKeptError(error.message) from error

    def _take(self, part: bytes) -> None:
        try:
            self._file.write(part)
            self._file.flush()
        except OSError as error:
            raise NotKeptError(error.strerror or str(error)) from error
        for digest in self._digests.values():
            digest.update(part)
        self._done += len(part)
        if self._done > MOST_BYTES:
            raise _too_long(self._wanted.name)
        allowed = _WAIT_SECONDS + self._done / _LEAST_BYTES_PER_SECOND
        if time.monotonic() - self._started > allowed:
            raise ToolError(
                f"{self._host} makes no progress: {self._done} bytes of {self._wanted.name} came "
                f"in {allowed:.0f} seconds.",
                remedy="Try again later, or fetch it in another way and name the file.",
            )

    def _check(self) -> None:
        for name, wanted in self._wanted.hashes:
            found = self._digests[name].hexdigest()
            if found != wanted.lower():
                raise DamagedInputError(
                    f"{self._wanted.name} arrived with the {name} {found}, and {wanted} is wanted.",
                    remedy="Try again. If it happens again, do not use where it comes from.",
                )


def check_address(url: str) -> None:
    """Raise `UsageError` for an address that is neither HTTPS nor a server of this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise UsageError(
        f"{parts.scheme}://{parts.hostname or ''} is not HTTPS, so anybody on the way could change "
        "what it sends.",
        remedy="Name an https address, or its digest: #sha256=….",
    )


def _is_loopback(host: str) -> bool:
    import ipaddress  # noqa: PLC0415 - rarely needed

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _some(raw: Any) -> bytes:
    """What has come, without waiting for more: a slow server must not look like a silent one."""
    if not hasattr(raw, "decode_content"):
        return bytes(raw.read(_PART))  # a file of this host
    if hasattr(raw, "read1"):
        return bytes(raw.read1(_PART, decode_content=False))
    return bytes(raw.read(_PART >> 4, decode_content=False))


def _too_long(name: str) -> LimitExceededError:
    return LimitExceededError(f"{name} is longer than {MOST_BYTES} bytes.")


def _reason(error: BaseException) -> str:
    """The innermost cause, without the address, which may carry a signature."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    if isinstance(inner, BaseException):
        return _reason(inner)
    return str(error).rpartition(": ")[2] or type(error).__name__
