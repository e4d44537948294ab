"""Chooses and fetches the wheel of a release for a platform and a Python.

Tags: PyPA "Platform compatibility tags" and PEP 600. The platform is that of the machines the wheel
is for, so every glibc counts, whichever this host has.
"""

from __future__ import annotations

import platform as host
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from smforge.arch.platforms import PLATFORMS, PROCESSORS
from smforge.errors import ToolError, UsageError
from smforge.fetching import cache
from smforge.fetching.download import Wanted, check_address, download_to
from smforge.fetching.pip_tools import PipTools, pip_tools
from smforge.progress import SILENT, Progress

if TYPE_CHECKING:
    from packaging.version import Version

_NEWEST_GLIBC: Final = 60
_OLDEST_GLIBC: Final = 5
_PYTHON: Final = re.compile(r"3\.(\d{1,2})\Z")
_SETTINGS: Final = "Check pip's index settings, or name the file."


@dataclass(frozen=True, slots=True)
class Target:
    """The machines that a wheel is for, and where it is looked for."""

    platform: str | None = None
    """``linux/arm64``; None for Linux on this host's CPU."""
    python: str | None = None
    """``3.12``; None for this Python's version."""
    index_url: str | None = None
    """None for the site's indexes."""

    def arguments(self) -> list[str]:
        """What tells pip about it. Raises `UsageError` for what no wheel can be for."""
        arguments = ["--only-binary=:all:"]
        for tag in self.tags():
            arguments += ["--platform", tag]
        arguments += ["--python-version", self.version]
        if self.index_url is not None:
            arguments += ["--index-url", self.index_url]
        return arguments

    @property
    def is_this_host(self) -> bool:
        """Whether pip's conditions, which it evaluates for this host, are those of the target."""
        here = Target()
        return (self._platform, self.version) == (here._platform, here.version)

    @property
    def words(self) -> str:
        """``linux/arm64 and Python 3.12``."""
        return f"{self._platform} and Python {self.version}"

    @property
    def version(self) -> str:
        """The version of Python. Raises `UsageError` where none is written so."""
        if self.python is None:
            return f"{sys.version_info.major}.{sys.version_info.minor}"
        if not _PYTHON.match(self.python):
            raise UsageError(
                f"{self.python!r} is no version of Python.", remedy="Write it as 3.12."
            )
        return self.python

    @property
    def _platform(self) -> str:
        if self.platform is not None:
            return self.platform
        cpu = {"arm64": "aarch64", "AMD64": "x86_64"}.get(host.machine(), host.machine())
        return PLATFORMS.get(cpu, cpu)

    def tags(self) -> list[str]:
        """The platform tags of its wheels, the newest glibc first."""
        cpu = PROCESSORS.get(self._platform)
        if cpu is None:
            raise UsageError(
                f"No wheel is looked for on {self._platform}.",
                remedy=f"Name {' or '.join(PROCESSORS)}.",
            )
        numbers = range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)
        old = ("manylinux2014", "manylinux2010", "manylinux1", "linux")
        return [*(f"manylinux_2_{n}_{cpu}" for n in numbers), *(f"{tag}_{cpu}" for tag in old)]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here now."""

    path: Path
    name: str
    """The file's own name."""
    release: str = ""
    """``vllm==0.33.0``."""
    yanked: str | None = None
    """Why the release was withdrawn from the index; None where it was not."""
    newer: str | None = None
    """The newest release that was asked for too, and has no wheel for the target."""


def fetch_wheel(requirement: str, target: Target, progress: Progress = SILENT) -> Fetched:
    """Fetch the wheel of a release: ``vllm==0.33.0``, or ``vllm`` for the newest one.

    Raises `UsageError` where that is no name of a release, and `ToolError` where there is no such
    wheel, or the index does not answer; see `download` for the rest.
    """
    name, specifier = _parsed(requirement)
    progress.task(f"looking for {requirement}")
    with pip_tools(["--no-deps", *target.arguments()], progress) as tools:
        candidate, newer = _find(tools, name, specifier, target)
        link = candidate.link
        release = f"{name}=={candidate.version}"
        yanked = (link.yanked_reason or "no reason is given") if link.is_yanked else None
        if link.is_file:
            return Fetched(Path(link.file_path), link.filename, release, yanked, newer)
        hashes = () if link.hash is None else ((link.hash_name, link.hash),)
        # Which indexes are trusted, pip's settings say.
        wanted = Wanted(link.url_without_fragment, link.filename, hashes, secure=False)
        path = _fetched(tools, wanted, progress)
        return Fetched(path, link.filename, release, yanked, newer)


def fetch_url(url: str, index_url: str | None = None, progress: Progress = SILENT) -> Fetched:
    """Fetch what an address leads to; ``#sha256=…`` at its end is what it must have.

    The credentials of the site's indexes, or of `index_url`, are used for files on their servers.

    Raises `UsageError` for an address that is not HTTPS and has no digest; see `download` for the
    rest.
    """
    address, _, fragment = url.partition("#")
    name = unquote(urlsplit(address).path.rpartition("/")[2]) or "file"
    hashes = tuple(_hashes(fragment))
    if not hashes:
        check_address(address)
    arguments = [] if index_url is None else ["--index-url", index_url]
    with pip_tools(arguments, progress) as tools:
        return Fetched(
            _fetched(tools, Wanted(address, name, hashes, secure=not hashes), progress), name
        )


def _hashes(fragment: str) -> Sequence[tuple[str, str]]:
    if not fragment:
        return ()
    found = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if found is None:
        raise UsageError(
            f"#{fragment} is no digest.", remedy="Write #sha256= and 64 hexadecimal digits."
        )
    return (("sha256", found[1].lower()),)


def _fetched(tools: PipTools, wanted: Wanted, progress: Progress) -> Path:
    announced = dict(wanted.hashes).get("sha256")
    if announced is not None and (path := cache.kept(announced, wanted.name)) is not None:
        return path
    new, sha256, kept = download_to(tools.session, wanted, cache.folder(), progress)
    if kept:
        return cache.keep(new, sha256, wanted.name)
    return new.rename(new.with_name(cache.plain_name(wanted.name)))


def _parsed(requirement: str) -> tuple[str, Any]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - slow
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - slow to load

    try:
        found = Requirement(requirement)
    except InvalidRequirement as error:
        raise _no_release(requirement) from error
    if found.extras or found.marker or found.url:
        raise _no_release(requirement)
    return canonicalize_name(found.name), found.specifier


def _no_release(requirement: str) -> UsageError:
    return UsageError(
        f"{requirement!r} is no release of a package.",
        remedy="Write pypi:NAME or pypi:NAME==1.2.3.",
    )


def _find(tools: PipTools, name: str, specifier: Any, target: Target) -> tuple[Any, str | None]:
    """pip's best candidate, and the newest release beyond it that has no wheel for the target."""
    from pip._internal.cli.cmdoptions import make_target_python  # noqa: PLC0415 - slow to load
    from pip._internal.exceptions import PipError  # noqa: PLC0415 - slow to load
    from pip._vendor.packaging.specifiers import SpecifierSet  # noqa: PLC0415 - slow to load

    finder = tools.finder(make_target_python(tools.options))
    skipped: list[tuple[str, str]] = []
    finder._log_skipped_link = lambda link, kind, _: skipped.append((kind.name, link.filename))
    try:
        found = finder.find_best_candidate(name, SpecifierSet(str(specifier)))
    except PipError as error:
        raise ToolError(
            f"The package index does not say which releases {name} has: {error}.", remedy=_SETTINGS
        ) from error
    of_release = [
        _Skipped(kind, file, version)
        for kind, file in skipped
        if (version := _version_of(file, name, str(specifier))) is not None
    ]
    best = found.best_candidate
    if best is None:
        told = _why_none(f"{name}{specifier}", found.all_candidates, of_release, target)
        if tools.refusals:
            told = f"{told.rstrip('.')}: {', '.join(dict.fromkeys(tools.refusals))}."
        raise ToolError(told, remedy=_SETTINGS)
    passed_over = [one.version for one in of_release if not one.version.is_prerelease]
    newest = max(passed_over, default=None)
    # pip has its own class of versions.
    is_newer = newest is not None and newest > type(newest)(str(best.version))
    return best, str(newest) if is_newer else None


class _Skipped(NamedTuple):
    """A file of the index that pip does not take, and why."""

    kind: str
    file: str
    version: Version


def _why_none(
    wanted: str, candidates: Sequence[Any], skipped: Sequence[_Skipped], target: Target
) -> str:
    if not candidates and not skipped:
        return f"The package index has no {wanted}, or does not answer."
    kinds = {one.kind for one in skipped}
    wheels = sorted({one.file for one in skipped if one.kind == "platform_mismatch"})
    if "requires_python_mismatch" in kinds:
        return f"{wanted} is not for Python {target.version}."
    if wheels:
        return f"{wanted} has no wheel for {target.words}, but these: {', '.join(wheels[-5:])}."
    if "format_unsupported" in kinds:
        return f"{wanted} has no wheel in the package index, only sources."
    versions = sorted({one.version for one in candidates})
    there = ", ".join(str(one) for one in versions[-5:])
    return f"The package index has no {wanted}{f'; the newest are {there}' if there else ''}."


def _version_of(file: str, name: str, specifier: str) -> Version | None:
    """The version of a file of the index, if it belongs to a release that is asked for."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - slow to load
    from packaging.utils import (  # noqa: PLC0415 - slow to load
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        parse = parse_wheel_filename if file.endswith(".whl") else parse_sdist_filename
        project, version = parse(file)[:2]
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None
    wanted = project == name and SpecifierSet(specifier).contains(version, prereleases=True)
    return version if wanted else None
