"""Finds the Tritons of a subject, their releases, and their own rules for assembling."""

from __future__ import annotations

import re
from collections.abc import Callable

from smforge.errors import DamagedInputError
from smforge.inventory.jit_tools.records import TritonInstall
from smforge.inventory.subjects.members import Member

_COMPILER = "/backends/nvidia/compiler.py"
_PACKAGE = "/__init__.py"
_VERSION = r"""(?m)^__version__\s*=\s*['"]([\w.+]{1,64})['"]"""
_MOST_BYTES = 256 << 10
"""Triton's own files have 3 to 30 kB."""


class TritonFinder:
    """Notes, member by member, the two files of a Triton that say how it has code assembled."""

    def __init__(self) -> None:
        self._compilers: list[tuple[Member, str | None]] = []
        self._packages: list[tuple[Member, str | None]] = []

    def note(self, member: Member) -> None:
        """Read `member` if it is such a file."""
        if member.path.endswith(f"triton{_COMPILER}"):
            self._compilers.append((member, _text(member)))
        elif member.path.endswith(f"triton{_PACKAGE}"):
            self._packages.append((member, _text(member)))

    def installs(self, paths_of: Callable[[Member], tuple[str, ...]]) -> list[TritonInstall]:
        """What was found, by path; ask after the last member."""
        releases: dict[str, str] = {}
        for member, text in self._packages:
            if match := re.search(_VERSION, text or ""):
                releases |= {path.removesuffix(_PACKAGE): match[1] for path in paths_of(member)}
        texts = {
            path.removesuffix(_COMPILER): text
            for member, text in self._compilers
            for path in paths_of(member)
        }
        return [_install(one, releases.get(one, ""), texts[one]) for one in sorted(texts)]


def _install(package: str, release: str, compiler: str | None) -> TritonInstall:
    from smforge.inventory.jit_tools.triton_source import read_rules  # noqa: PLC0415 - loads ast

    rules = read_rules(compiler) if compiler else None
    return TritonInstall(package, release, rules)


def _text(member: Member) -> str | None:
    if member.size > _MOST_BYTES:
        return None
    try:
        with member.open() as blob:
            return blob.read_at(0, blob.size).decode("utf-8", "replace")
    except DamagedInputError:
        return None
