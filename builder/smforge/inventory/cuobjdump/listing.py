"""Reads what cuobjdump prints.

The text is nobody's interface and differs between versions: 12.8 writes ``STT_FUNC … STO_ENTRY``
where 13.5 writes ``FUNC … ENTRY``. What is relied on: a heading ``Fatbin KIND code:`` for each
fatbin entry, ``arch = …`` and ``code version = [x,y]`` below it, one line per symbol, and PTX text
as it is. A listing that holds a heading without an architecture is refused.

`--list-elf` is used only for raw cubins that `-elf` refuses: it prints ``sm_120`` for code that was
built as ``sm_120f``. Releases before 12.9 do that everywhere. Of both, plain targets of capability
10.0 and later are taken as targets of unknown suffix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError, DamagedInputError
from smforge.inventory.records import CodeObject, Kind

_HEADING = re.compile(rb"Fatbin ([\w -]+?) code:\s*\Z")
_ARCH = re.compile(rb"arch = (\w+)\s*\Z")
_VERSION = re.compile(rb"code version = \[(\d+),(\d+)\]")
_ENTRY = re.compile(rb"\.entry\s+([\w$.]+)")
_RAW_HEADING = re.compile(
    rb"64-?bit elf:.*?\bsm[ =]*(\d+)([af]?)\b(?:.*?toolkit=(\d+)\.?(\d*))?", re.I
)
_RAW_LISTED = re.compile(rb"ELF file +\d+: .*\.sm_(\d+)([af]?)\.cubin\s*\Z")
_RAW_OPTION = re.compile(rb"(?:-arch|--gpu-name)[= ]+sm_(\d+)([af]?)(?!\w)")

_KINDS = {
    b"elf": Kind.CUBIN,
    b"ptx": Kind.PTX,
    b"nvvm": Kind.LTO_IR,
    b"relocatable ptx": Kind.RELOCATABLE_PTX,
    b"tile ir": Kind.TILE_IR,
    b"tileir": Kind.TILE_IR,
}
_FIRST_TOOLKIT = 9
_HEADINGS = (b"Fatbin ", b"member ")
_FIRST_FAMILY = ComputeCapability(10, 0)
"""Family-specific targets begin with compute capability 10.0 (PTX ISA 11.1.2)."""


@dataclass(slots=True)
class _Draft:
    """A code object of which not all lines have come."""

    kind: Kind
    target: Target | None = None
    version: str | None = None
    member: str = ""
    kernels: set[bytes] = field(default_factory=set)


class FatbinListing:
    """Collects code objects from the output of ``cuobjdump -symbols -ptx``, chunk by chunk."""

    def __init__(self, *, tells_families: bool = True) -> None:
        self._tells_families = tells_families
        self._done: list[_Draft] = []
        self._draft: _Draft | None = None
        self._in_text = False
        self._member = ""

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of whole lines."""
        position = 0
        while position < len(chunk):
            if self._in_text:
                end = _next_heading(chunk, position)
                self._read_text(chunk, position, end)
                position = end
            if position < len(chunk):
                end = chunk.find(b"\n", position)
                end = len(chunk) if end < 0 else end
                self._read_line(chunk[position:end])
                position = end + 1

    def objects(self, *, names: bool) -> tuple[tuple[str, CodeObject], ...]:
        """Return what was listed, each with the member of a static archive that it stands in.

        Raises `DamagedInputError` where a heading stood alone.
        """
        self._close()
        return tuple((draft.member, self._code_object(draft, names=names)) for draft in self._done)

    def _code_object(self, draft: _Draft, *, names: bool) -> CodeObject:
        if draft.target is None:
            raise DamagedInputError("cuobjdump lists a code object without an architecture.")
        target = draft.target
        if not self._tells_families and draft.kind is Kind.CUBIN:
            target = _unsure(target)
        readable = draft.kind in {Kind.CUBIN, Kind.PTX}
        return CodeObject(
            draft.kind,
            target,
            stored_bytes=0,
            ptx_isa=draft.version if draft.kind in {Kind.PTX, Kind.RELOCATABLE_PTX} else None,
            kernels=_names(draft.kernels) if names and readable else None,
        )

    def _read_line(self, line: bytes) -> None:
        if line.startswith(b"Fatbin ") and (heading := _HEADING.match(line)):
            self._close()
            kind = _KINDS.get(heading[1].lower(), Kind.UNKNOWN)
            self._draft = _Draft(kind, member=self._member)
            return
        if line.startswith(b"member ") and line.endswith(b":"):
            self._close()
            self._member = line[:-1].rpartition(b":")[2].decode("utf-8", "backslashreplace")
            return
        draft = self._draft
        if draft is None:
            return
        if draft.target is None:
            if match := _ARCH.match(line):
                draft.target = _target(match[1])
        elif line.startswith((b"FUNC ", b"STT_FUNC ")):
            if name := _entry_name(line):
                draft.kernels.add(name)
        elif match := _VERSION.match(line):
            draft.version = f"{int(match[1])}.{int(match[2])}"
        elif draft.kind in {Kind.PTX, Kind.RELOCATABLE_PTX} and not line.strip():
            self._in_text = True

    def _read_text(self, chunk: bytes, start: int, end: int) -> None:
        assert self._draft is not None
        # A search for the word first: a regular expression over PTX is ten times slower.
        position = chunk.find(b".entry", start, end)
        while position >= 0:
            if match := _ENTRY.match(chunk, position, end):
                self._draft.kernels.add(match[1])
            position = chunk.find(b".entry", position + 6, end)

    def _close(self) -> None:
        if self._draft is not None:
            self._done.append(self._draft)
        self._draft = None
        self._in_text = False


class CubinListing:
    """Collects one raw cubin from the output of ``cuobjdump -elf -symbols``.

    Or from those of ``-symbols`` and ``--list-elf``, of which only a suffix a can be believed.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._suffix = ""
        self._toolkit: str | None = None
        self._options: set[tuple[int, str]] = set()
        self._kernels: set[bytes] = set()

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of whole lines."""
        for line in chunk.split(b"\n"):
            if line.startswith((b"FUNC ", b"STT_FUNC ")):
                if name := _entry_name(line):
                    self._kernels.add(name)
            elif self._number is None and (match := _RAW_HEADING.match(line)):
                self._read_heading(match)
            elif self._number is None and (match := _RAW_LISTED.match(line)):
                self._number = int(match[1])
                self._suffix = match[2].decode()
            elif b"sm_" in line:
                for option in _RAW_OPTION.finditer(line):
                    self._options.add((int(option[1]), option[2].decode()))

    def _read_heading(self, match: re.Match[bytes]) -> None:
        self._number = int(match[1])
        self._suffix = match[2].decode()
        # 12.8 prints nonsense (0.2) for cubins of later releases.
        if match[3] and match[4] and int(match[3]) >= _FIRST_TOOLKIT:
            self._toolkit = f"{int(match[3])}.{int(match[4])}"

    def code_object(self, size: int, *, names: bool) -> CodeObject:
        """Return the cubin. Raises `DamagedInputError` where no heading was printed."""
        if self._number is None:
            raise DamagedInputError("cuobjdump prints no architecture for this cubin.")
        capability = ComputeCapability.from_number(self._number)
        return CodeObject(
            Kind.CUBIN,
            Target(capability, self._read_suffix(capability)),
            size,
            toolkit=self._toolkit,
            kernels=_names(self._kernels) if names else None,
        )

    def _read_suffix(self, capability: ComputeCapability) -> Suffix:
        if self._suffix:
            return Suffix(self._suffix)
        options = {suffix for number, suffix in self._options if number == capability.number}
        if len(options) == 1:
            return Suffix(options.pop())
        return Suffix.UNKNOWN if capability >= _FIRST_FAMILY else Suffix.PLAIN


def _next_heading(chunk: bytes, start: int) -> int:
    """Where the PTX text that goes on at `start`, the start of a line, ends."""
    if chunk.startswith(_HEADINGS, start):
        return start
    found = [at + 1 for word in _HEADINGS if (at := chunk.find(b"\n" + word, start)) >= 0]
    return min(found, default=len(chunk))


def _entry_name(line: bytes) -> bytes | None:
    """Return the name in the line of a kernel's symbol, which is marked ENTRY or STO_ENTRY."""
    *marks, name = line.split()
    return name if b"ENTRY" in marks or b"STO_ENTRY" in marks else None


def _target(text: bytes) -> Target:
    try:
        return Target.parse(text.decode("ascii", "replace"))
    except ArchitectureError as error:
        raise DamagedInputError(f"cuobjdump names an unknown architecture: {error}") from error


def _names(kernels: set[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name.decode("utf-8", "backslashreplace") for name in kernels))


def _unsure(target: Target) -> Target:
    """What a cuobjdump that knows no families calls plain may be family-specific."""
    if target.suffix is Suffix.PLAIN and target.capability >= _FIRST_FAMILY:
        return Target(target.capability, Suffix.UNKNOWN)
    return target
