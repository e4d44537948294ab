"""Exceptions to a verdict: which kernels and files somebody has excused, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from smforge.arch.target import ComputeCapability, Target
from smforge.verdict.names import demangle
from smforge.verdict.reach import EXCUSABLE, Reach


@dataclass(frozen=True, slots=True)
class Exemption:
    """Kernels or files that may be missing or PTX-only, with the reason for it.

    Patterns are shell patterns (``*``, ``?``, ``[…]``) over the whole text, case-sensitive. A
    kernel pattern is tried on the mangled and on the C++ name. A file pattern may begin at any
    folder of the path: ``vllm/_C*.so`` means the library in a wheel, a venv and an image alike.
    Where both `kernel` and `file` are given both must match; `anything` matches either.
    """

    reason: str
    policy: str
    """Where it stands: a policy's name or file, or ``--allow``."""
    kernel: str | None = None
    file: str | None = None
    anything: str | None = None
    devices: tuple[ComputeCapability, ...] = ()
    """The devices it holds for; empty for all."""
    targets: tuple[Target, ...] = ()
    """All that a kernel may be embedded for, so that a namesake built for more is not excused;
    empty for anything."""
    states: tuple[str, ...] = tuple(EXCUSABLE)
    """What it excuses of a kernel: that it is ``missing``, that it is ``ptx`` alone."""
    reference: str | None = None
    expires: date | None = None
    """The last day it holds."""
    shipped: bool = False
    """Whether it comes with smforge, so that nobody needs to hear that it was not used."""

    @property
    def pattern(self) -> str:
        """The patterns in one line, for people."""
        if self.anything is not None:
            return self.anything
        return " in ".join(part for part in (self.kernel, self.file) if part is not None)

    def holds(self, device: ComputeCapability, today: date) -> bool:
        """Whether it applies to a device on a day."""
        if self.expires is not None and today > self.expires:
            return False
        return not self.devices or device in self.devices

    def excuses(self, how: Reach) -> bool:
        """Whether it speaks of kernels that reach a device in this way."""
        return any(how in EXCUSABLE[state] for state in self.states)

    def fits(self, embedded: frozenset[Target]) -> bool:
        """Whether a kernel that is embedded for these targets can be meant."""
        return not self.targets or embedded.issubset(self.targets)

    def covers(self, kernel: str, path: str) -> bool:
        """Whether a mangled kernel name in a file is meant."""
        if self.anything is not None:
            return _matches_path(self.anything, path) or _matches_kernel(self.anything, kernel)
        if self.file is not None and not _matches_path(self.file, path):
            return False
        return self.kernel is None or _matches_kernel(self.kernel, kernel)


def allowed_on_command_line(pattern: str) -> Exemption:
    """The exemption that ``--allow PATTERN`` asks for."""
    return Exemption(
        reason="allowed on the command line, without a written reason",
        policy="--allow",
        anything=pattern,
    )


def covering(exemptions: tuple[Exemption, ...], kernel: str, path: str) -> tuple[Exemption, ...]:
    """Return the exemptions that mean a kernel of a file."""
    return tuple(exemption for exemption in exemptions if exemption.covers(kernel, path))


def _matches_kernel(pattern: str, name: str) -> bool:
    return _matches(pattern, name) or _matches(pattern, demangle(name))


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
