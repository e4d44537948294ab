"""Notes the files of the host that GPU code depends on, while a survey reads a subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from smforge.arch.tables import table
from smforge.errors import DamagedInputError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import Blob
from smforge.inventory.install_records import RecordFinder
from smforge.inventory.jit_tools.records import Assembler, HostFiles, LibraryUser, Source
from smforge.inventory.jit_tools.triton_installs import TritonFinder
from smforge.inventory.rewrite_manifest import ManifestFinder
from smforge.inventory.subjects.base import OpenSubject, WrappedSubject
from smforge.inventory.subjects.members import Member

_SMALLEST = 64
"""Bytes of an ELF header; a launcher script that is called ptxas is no assembler."""


class WatchedSubject(WrappedSubject):
    """A subject that also remembers the files of the host that its GPU code depends on."""

    def __init__(self, inner: OpenSubject, *, ask: bool = False) -> None:
        """`ask`: run the assemblers, confined; otherwise only their tables are read."""
        super().__init__(inner)
        self._ask = ask
        self._assemblers: list[tuple[Member, Assembler]] = []
        self._libraries: list[Member] = []
        self._users: list[tuple[Member, LibraryUser]] = []
        self._tritons = TritonFinder()
        self._manifests = ManifestFinder()
        self._records = RecordFinder()

    def members(self) -> Iterator[Member]:
        for member in self._inner.members():
            self._tritons.note(member)
            self._manifests.note(member)
            self._records.note(member)
            if member.head is not None and not member.head.startswith(elf.MAGIC):
                yield member
            elif _is_assembler(member.path.rpartition("/")[2]):
                yield member._replace(open=self._opening(member, self._note_assembler))
            elif not member.only:
                yield member._replace(open=self._opening(member, self._note_library))
            else:
                yield member

    def host_files(self) -> HostFiles:
        """What was found; ask after the last member."""
        assemblers = [
            replace(assembler, path=path)
            for member, assembler in self._assemblers
            for path in self._inner.paths_of(member)
        ]
        libraries = [path for member in self._libraries for path in self._inner.paths_of(member)]
        users = [
            replace(user, path=path)
            for member, user in self._users
            for path in self._inner.paths_of(member)
        ]
        assemblers.sort(key=lambda assembler: assembler.path)
        return HostFiles(
            tuple(assemblers),
            tuple(sorted(libraries)),
            tuple(self._links()),
            tuple(self._tritons.installs(self._inner.paths_of)),
            tuple(sorted(users, key=lambda user: user.path)),
            self._ask,
            self._manifests.copies(self._inner.paths_of),
            self._records.files(self._inner.paths_of, self._inner.is_link),
        )

    def _links(self) -> Iterator[tuple[str, str]]:
        """Follow the paths that an image's configuration names, and the toolkit's own."""
        configuration = self._inner.subject.configuration
        named = (value for _, value in configuration.environment) if configuration else ()
        for path in dict.fromkeys(value.strip("/") for value in named if value.startswith("/")):
            yield from self._followed(path)
        yield from self._followed(table("toolkit_assembler")["toolkit"]["path"])

    def _followed(self, path: str) -> Iterator[tuple[str, str]]:
        place = self._inner.resolve(path)
        if place is not None and place != path:
            yield path, place

    def _opening(
        self, member: Member, note: Callable[[Member, Blob], None]
    ) -> Callable[[], AbstractContextManager[Blob]]:
        @contextmanager
        def opened() -> Iterator[Blob]:
            with member.open() as blob:
                if blob.size >= _SMALLEST and blob.read_at(0, len(elf.MAGIC)) == elf.MAGIC:
                    note(member, blob)
                yield blob

        return opened

    def _note_library(self, member: Member, blob: Blob) -> None:
        if _is_library(member.path.rpartition("/")[2]):
            self._libraries.append(member)
        from smforge.inventory.jit_tools.library_users import read_user  # noqa: PLC0415 - not for one

        if (found := read_user(member.path, blob)) is not None:
            self._users.append((member, found))

    def _note_assembler(self, member: Member, blob: Blob) -> None:
        from smforge.inventory.jit_tools.assembler import examine  # noqa: PLC0415 - few subjects have one

        try:
            found = examine(member.path, blob, ask_it=self._ask)
        except DamagedInputError:
            found = Assembler(member.path, None, frozenset(), Source.READ)
        self._assemblers.append((member, found))


def _is_assembler(name: str) -> bool:
    """Whether a file is named like an assembler: ``ptxas``, ``ptxas-blackwell``, ``ptxas13``."""
    return name.startswith("ptxas")


def _is_library(name: str) -> bool:
    """Whether a file is named like one of CUDA's libraries: ``libnvrtc.so.13``, ``libnvrtc.so``."""
    stem, found, _ = name.partition(".so")
    if not found or not name.startswith(("libcu", "libn")):
        return False
    from smforge.arch.cuda_libraries import cuda_library, cuda_library_names  # noqa: PLC0415 - few

    if stem not in cuda_library_names():
        return False
    return cuda_library(name) is not None or name == f"{stem}.so"
