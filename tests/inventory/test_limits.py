"""Subjects that ask for more kernels, memory or time than any real one: undetermined, at once."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import lz4.block
import pytest
import zstandard

from smforge.arch.requirement import parse_requirements
from smforge.errors import LimitExceededError
from smforge.findings import Outcome
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.survey import take_inventory
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest

HEAD = b".version 9.0\n.target sm_121\n.address_size 64\n"


def fatbin(kind: int, payload: bytes, flags: int, size: int) -> bytes:
    padded = payload + bytes(-len(payload) % 8)
    fields = (kind, 0x101, 64, len(padded), len(payload), 0, 0, 9, 121, 0, 0, flags, 0, size)
    entry = struct.pack("<HHIQIIHHIIIQQQ", *fields) + padded
    return REGION_MAGIC + struct.pack("<Q", len(entry)) + entry


def named(prefix: str, count: int) -> bytes:
    """A fatbin of PTX with made-up kernels."""
    text = HEAD + b"".join(b".entry %s%d(\n" % (prefix.encode(), n) for n in range(count))
    return fatbin(1, zstandard.compress(text), 0x8000, len(text))


Audited = Callable[[Limits], Outcome]


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    """Audits the folder with these limits."""

    def run(limits: Limits) -> Outcome:
        request = AuditRequest(parse_requirements(["12.1"]))
        return audit(str(tmp_path), request, options=ReadOptions(limits=limits)).outcome

    return run


def test_too_many_kernels_in_one_file(tmp_path: Path, audited: Audited) -> None:
    (tmp_path / "a.fatbin").write_bytes(named("a", 20))
    assert audited(Limits(kernels=20)) is Outcome.PASS
    assert audited(Limits(kernels=19)) is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    "limits", [Limits(kernels=30), Limits(listed=30), Limits(name_bytes=60)], ids=str
)
def test_too_many_kernels_in_all_objects_of_one_file(
    tmp_path: Path, audited: Audited, limits: Limits
) -> None:
    (tmp_path / "a.fatbin").write_bytes(named("a", 20) + named("b", 20))
    assert audited(Limits()) is Outcome.PASS
    assert audited(limits) is Outcome.UNDETERMINED


@pytest.mark.parametrize("limits", [Limits(subject_kernels=30), Limits(subject_listed=30)], ids=str)
def test_too_many_kernels_in_all_files(tmp_path: Path, limits: Limits, audited: Audited) -> None:
    for name in "abc":
        (tmp_path / f"{name}.fatbin").write_bytes(named(name, 20))
    assert audited(limits) is Outcome.UNDETERMINED
    inventory = take_inventory(str(tmp_path), ReadOptions(limits=limits))
    assert [file.path for file in inventory.files] == ["a.fatbin"]
    assert [damage.path for damage in inventory.damage] == ["b.fatbin", "c.fatbin"]
    assert "kernel" in inventory.damage[0].message


def test_the_time_for_a_subject_ends_judging_too(tmp_path: Path, audited: Audited) -> None:
    (tmp_path / "a.fatbin").write_bytes(named("a", 2))
    with pytest.raises(LimitExceededError, match="more than 0 s"):
        audited(Limits(subject_seconds=0))


def test_what_is_no_cubin_is_refused_before_it_is_unpacked_whole(
    tmp_path: Path, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = lz4.block.compress(bytes(1 << 20), store_size=False)
    (tmp_path / "a.fatbin").write_bytes(fatbin(2, packed, 0x2000, 1 << 20))
    monkeypatch.setattr("smforge.inventory.native.payload_contents.open_payload", None)
    assert audited(Limits()) is Outcome.UNDETERMINED


def test_a_payload_that_can_only_be_held_whole_is_bounded(tmp_path: Path, audited: Audited) -> None:
    text = HEAD + b".entry k(\n" + bytes(1 << 20)
    packed = lz4.block.compress(text, store_size=False)
    (tmp_path / "a.fatbin").write_bytes(fatbin(1, packed, 0x2000, len(text)))
    assert audited(Limits()) is Outcome.PASS
    assert audited(Limits(whole_payload_bytes=1 << 20)) is Outcome.UNDETERMINED


def _elf(machine: int, content: bytes, row: bytes, rows: int) -> bytes:
    """An ELF file of which every section is the same `row`; its names begin at byte 64."""
    os_abi = 0x41 if machine == elf.MACHINE_CUDA else 0
    ident = elf.MAGIC + bytes((2, 1, 1, os_abi)) + bytes(8)
    flags = 90 << 8 if machine == elf.MACHINE_CUDA else 0
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, 3, machine, 1, 0, 0, 64 + len(content), flags, 64, 56, 0, 64, rows, 0),
    )
    return header + content + row * rows


def _row(kind: int, size: int, name: int = 0) -> bytes:
    return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, 64, size, 0, 0, 1, 0)


@pytest.mark.parametrize(
    ("machine", "kind", "names", "message"),
    [
        (elf.MACHINE_CUDA, 7, False, "notes of"),
        (elf.MACHINE_CUDA, elf.SHT_SYMTAB, True, "symbol tables"),
        (62, elf.SHT_PROGBITS, True, "more than the"),
    ],
)
def test_sections_that_share_their_bytes(machine, kind, names, message):
    """60,000 rows of one table name the same megabyte: reading each took 60 GB, or hours."""
    rows, size = 60_000, 1 << 20
    data = _elf(machine, bytes(size), _row(kind, size), rows)
    found = read_file("lib.so", BytesBlob(data), ReadOptions(names=names))
    assert found is not None
    (damage,) = found.damage
    assert message in damage.message


def test_sections_that_share_one_long_name():
    name = b"n" * 60_000 + b"\0"
    data = _elf(62, name, _row(elf.SHT_PROGBITS, len(name)), 60_000)
    found = read_file("lib.so", BytesBlob(data), ReadOptions())
    assert found is not None
    (damage,) = found.damage
    assert "table of names" in damage.message


def test_the_time_of_a_file_covers_bytes_that_hold_nothing():
    size = 4 << 20
    data = _elf(62, bytes(size), _row(elf.SHT_PROGBITS, size), 1)
    found = read_file("lib.so", BytesBlob(data), ReadOptions(limits=Limits(seconds=-1)))
    assert found is not None
    (damage,) = found.damage
    assert "takes more than" in damage.message
