"""Can the libraries of CUDA that files need be loaded, from what the subject brings?

Each file is compared with the subject separately. NVIDIA's libraries of two
major versions can be in one subject; a file that needs a version which is not there does not load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from smforge.arch.cuda_libraries import CudaLibrary, cuda_library
from smforge.findings import Finding, Level
from smforge.inventory.jit_tools.records import LibraryUser
from smforge.inventory.records import SubjectKind
from smforge.verdict.cuda_builds import CudaBuilds
from smforge.verdict.rules import CUDART_MISMATCH
from smforge.verdict.views.subject import SubjectView

_RUNTIME = "libcudart"
_NAMED = 3
"""Files named in a finding; the rest are counted."""


def check_cuda_libraries(subject: SubjectView) -> Iterator[Finding]:
    """Libraries of CUDA that are needed or opened, and are not there or are there in two
    versions.
    """
    users = library_users(subject)
    if not users:
        return
    brought = _Brought(subject)
    absent = {
        user.path: [library for library in _read(user.needed) if not brought.has(library)]
        for user in users
    }
    loadable = CudaBuilds(one.path for one in users if one.needed and not absent[one.path])
    excused = [user.path for user in users if _has_other_build(absent[user.path], user, loadable)]
    for user in users:
        if user.path in excused:
            continue
        if absent[user.path]:
            yield from _not_there(brought, user.path, absent[user.path])
        else:
            yield from _not_there_to_open(brought, user)
    if excused:
        yield _other_builds(excused)
    yield from _two_majors([one for one in users if not _is_certain(brought, absent[one.path])])


def library_users(subject: SubjectView) -> list[LibraryUser]:
    """Every file that uses libraries of CUDA, by path.

    What is known of files with GPU code comes from the inventory where nothing else was noted, as
    for a library that is audited alone.
    """
    users = {one.path: one for one in subject.reading.host_files.users}
    for view in subject.files:
        if view.file.path not in users:
            needed = tuple(name for name in view.file.needed if cuda_library(name))
            if needed:
                users[view.file.path] = LibraryUser(view.file.path, needed)
    return [users[path] for path in sorted(users)]


@dataclass(frozen=True)
class _Brought:
    """The libraries of CUDA in a subject, by their files' names."""

    subject: SubjectView

    @cached_property
    def _files(self) -> set[str]:
        paths = self.subject.reading.host_files.libraries
        return {path.rpartition("/")[2] for path in paths}

    @cached_property
    def _libraries(self) -> list[CudaLibrary]:
        return _read(sorted(self._files))

    @property
    def kind(self) -> SubjectKind:
        return self.subject.inventory.subject.kind

    @property
    def any(self) -> bool:
        """Whether the subject brings any of them."""
        return bool(self._libraries)

    def has(self, library: CudaLibrary) -> bool:
        """Whether the loader finds it: by its soname, or by a file for which ldconfig makes that
        link.
        """
        soname = library.soname
        return any(name == soname or name.startswith(f"{soname}.") for name in self._files)

    def has_number(self, library: CudaLibrary) -> bool:
        """Whether a library of its name with its number is there, as `dlopen` may find it."""
        return any((one.name, one.number) == library[:2] for one in self._libraries)

    def others(self, library: CudaLibrary) -> list[str]:
        """Versions of the same library that are there with another number."""
        names = {
            f"{one.name}.so.{one.number}"
            for one in self._libraries
            if one.name == library.name and one.number != library.number
        }
        return sorted(names)

    def runs_other_majors(self, library: CudaLibrary) -> bool:
        """Whether the subject brings CUDA runtimes, and none of the library's major version."""
        majors = {one.major for one in self._libraries if one.name == _RUNTIME}
        return bool(majors) and library.major is not None and library.major not in majors

    def contradicts(self, library: CudaLibrary) -> bool:
        """Whether the subject shows that an absent library does not come from elsewhere."""
        return bool(self.others(library)) or self.runs_other_majors(library)


def _read(names: Iterable[str]) -> list[CudaLibrary]:
    return [found for name in names if (found := cuda_library(name))]


def _is_certain(brought: _Brought, absent: list[CudaLibrary]) -> bool:
    """Whether one of them is missed for certain.

    An image is all that its programs have, but for the driver. A wheel or a folder may get from
    elsewhere what it does not bring at all, and not what it brings in another version.
    """
    complete = brought.kind is SubjectKind.IMAGE and brought.any
    return any(complete or brought.contradicts(library) for library in absent)


def _has_other_build(absent: list[CudaLibrary], user: LibraryUser, loadable: CudaBuilds) -> bool:
    """Whether a file that cannot be loaded is a build of one that can."""
    majors = (library.major for library in absent)
    return any(major and loadable.has_other(user.path, major) for major in majors)


def _other_builds(paths: list[str]) -> Finding:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return CUDART_MISMATCH.finding(
        f"{', '.join(paths[:_NAMED])}{more} cannot be loaded without libraries of CUDA that the "
        "subject does not bring; their builds for another CUDA major version can be.",
        level=Level.NOTE,
    )


def _not_there(brought: _Brought, path: str, absent: list[CudaLibrary]) -> Iterator[Finding]:
    certain = _is_certain(brought, absent)
    may_come = brought.kind in {SubjectKind.WHEEL, SubjectKind.FILE} or (
        brought.kind is SubjectKind.TREE and not brought.any
    )
    if may_come and not certain:
        return
    names = ", ".join(library.soname for library in absent)
    there = sorted({other for library in absent for other in brought.others(library)})
    instead = f"; it brings {', '.join(there)}" if there else ""
    yield CUDART_MISMATCH.finding(
        f"{path} needs {names}, which the subject does not bring{instead}: it cannot be loaded.",
        level=Level.ERROR if certain else Level.WARNING,
        file=path,
        remedy=_remedy(path, absent, there),
    )


def _remedy(path: str, absent: list[CudaLibrary], there: list[str]) -> str:
    majors = {library.major for library in _read(there)} - {None}
    bring = f"Add {', '.join(library.soname for library in absent)}"
    if len(majors) == 1:
        return f"{bring}, or take the build of {path} for CUDA {majors.pop()}."
    return f"{bring}."


def _not_there_to_open(brought: _Brought, user: LibraryUser) -> Iterator[Finding]:
    """Libraries that a file names as text and may open (`dlopen`) when it runs."""
    by_name: dict[str, list[CudaLibrary]] = {}
    for library in _read(user.named):
        by_name.setdefault(library.name, []).append(library)
    for several in by_name.values():
        if any(brought.has_number(library) for library in several):
            continue
        missed = brought.any and brought.kind is SubjectKind.IMAGE
        if missed or any(brought.contradicts(library) for library in several):
            names = " or ".join(library.soname for library in several)
            there = brought.others(several[0])
            instead = f" (it brings {', '.join(there)})" if there else ""
            yield CUDART_MISMATCH.finding(
                f"{user.path} names {names}, which it may open when it runs and the subject does "
                f"not bring{instead}.",
                level=Level.WARNING,
                file=user.path,
                remedy=_remedy(user.path, several, there),
            )


def _two_majors(users: list[LibraryUser]) -> Iterator[Finding]:
    """Files that each load, and need different major versions."""
    needs: dict[int, dict[str, str]] = {}
    for user in users:
        for library in _read(user.needed):
            if library.major is not None:
                needs.setdefault(library.major, {}).setdefault(user.path, library.soname)
    builds = CudaBuilds(user.path for user in users)
    for major, needing in list(needs.items()):
        if all(builds.has_other(path, major) for path in needing):
            del needs[major]
    if len(needs) > 1:
        told = "; ".join(_needing(major, needs[major]) for major in sorted(needs))
        yield CUDART_MISMATCH.finding(
            f"Files of the subject need libraries of different CUDA major versions: {told}.",
            level=Level.WARNING,
            remedy="Use builds for one major version, or never load both in one process.",
        )


def _needing(major: int, needing: dict[str, str]) -> str:
    paths = sorted(needing)
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    verb = "needs" if len(paths) == 1 else "need"
    return f"{', '.join(paths[:_NAMED])}{more} {verb} CUDA {major} ({needing[paths[0]]})"
