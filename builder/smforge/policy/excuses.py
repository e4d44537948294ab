"""Excuses: which kernels, files and sources may be missing, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from smforge.arch.target import ComputeCapability, Target

STATES = ("missing", "ptx")
"""What an excuse can be for: a kernel that is missing, a kernel that is there as PTX alone."""


def today() -> date:
    """The day that decides which excuses have expired (UTC)."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Excuse:
    """Kernels, files or sources that may be missing or PTX-only, with the reason for it.

    Patterns are shell patterns (``*``, ``?``, ``[…]``) over the whole text, case-sensitive. A
    kernel pattern is tried on the mangled and on the C++ name. A file pattern may begin at any
    folder of the path: ``vllm/_C*.so`` means the library in a wheel, a venv and an image alike. A
    source pattern is tried on the source's path and on ``EXTENSION/SOURCE``. Where both `kernel`
    and `file` are given both must match; `anything` matches any of the three.
    """

    reason: str
    policy: str
    """Its origin: a policy's name or file, or ``--allow``."""
    kernel: str | None = None
    file: str | None = None
    source: str | None = None
    anything: str | None = None
    devices: tuple[ComputeCapability, ...] = ()
    """The devices that it applies to; empty for all."""
    targets: tuple[Target, ...] = ()
    """All that a kernel may be embedded for, so that a kernel of the same name that is built for
    more is not excused; empty for anything."""
    states: tuple[str, ...] = STATES
    """What it excuses of a kernel, in the words of `STATES`."""
    reference: str | None = None
    expires: date | None = None
    """The last day on which it applies (UTC)."""
    shipped: bool = False
    """Whether it comes with smforge: then it is not reported if it excuses nothing."""

    @property
    def pattern(self) -> str:
        """The patterns in one line, for people."""
        if self.anything is not None:
            return self.anything
        library = " in ".join(part for part in (self.kernel, self.file) if part is not None)
        return library or self.source or ""

    @property
    def for_kernels(self) -> bool:
        """Whether it can mean kernels or files, which an audit judges."""
        return any(one is not None for one in (self.kernel, self.file, self.anything))

    @property
    def for_sources(self) -> bool:
        """Whether it can mean sources, which a preflight judges."""
        return self.source is not None or self.anything is not None

    def holds(self, device: ComputeCapability, day: date) -> bool:
        """Whether it applies to a device on a day."""
        if self.expires is not None and day > self.expires:
            return False
        return not self.devices or device in self.devices

    def fits(self, embedded: frozenset[Target]) -> bool:
        """Whether a kernel that is embedded for these targets can be meant."""
        return not self.targets or embedded.issubset(self.targets)

    def covers(self, kernel: str, path: str, spelling: Callable[[str], str]) -> bool:
        """Whether a kernel in a file is meant.

        `kernel` is the mangled name; `spelling` gives its C++ name, and is called only where the
        mangled name does not match.
        """
        if self.anything is not None:
            if _matches_path(self.anything, path):
                return True
            return _matches_kernel(self.anything, kernel, spelling)
        if self.file is not None and not _matches_path(self.file, path):
            return False
        if self.kernel is None:
            return self.file is not None
        return _matches_kernel(self.kernel, kernel, spelling)

    def covers_source(self, extension: str, source: str) -> bool:
        """Whether a source of an extension is meant."""
        pattern = self.source if self.anything is None else self.anything
        return pattern is not None and any(
            _matches(pattern, one) for one in (source, f"{extension}/{source}")
        )


def allowed_on_command_line(pattern: str) -> Excuse:
    """The excuse that ``--allow PATTERN`` asks for."""
    return Excuse(
        reason="allowed on the command line, without a written reason",
        policy="--allow",
        anything=pattern,
    )


def reason_for(
    excuses: Iterable[Excuse],
    extension: str,
    source: str,
    device: ComputeCapability,
    day: date | None = None,
) -> str | None:
    """Why the loss of a source on a device does not count; None where it does."""
    when = day or today()
    matching = (
        one.reason
        for one in excuses
        if one.holds(device, when) and one.covers_source(extension, source)
    )
    return next(matching, None)


def _matches_kernel(pattern: str, name: str, spelling: Callable[[str], str]) -> bool:
    return _matches(pattern, name) or _matches(pattern, spelling(name))


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(text) is not None


def _matches_path(pattern: str, path: str) -> bool:
    return _compiled_path(pattern).match(path) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_translated(pattern))


@lru_cache(maxsize=1024)
def _compiled_path(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?s:.*/)?{_translated(pattern)}")


def _translated(pattern: str) -> str:
    """A shell pattern as a regular expression."""
    from fnmatch import translate  # noqa: PLC0415

    return translate(pattern)
