"""The tar reader: what tarfile and GNU tar write is read alike, everything else is refused."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, LimitExceededError, SmforgeError
from smforge.inventory.archives.part_reader import ByteReader, FileReader
from smforge.inventory.archives.tar import EntryType, entries

_TYPES = {
    tarfile.REGTYPE: EntryType.FILE,
    tarfile.AREGTYPE: EntryType.FILE,
    tarfile.DIRTYPE: EntryType.DIRECTORY,
    tarfile.SYMTYPE: EntryType.SYMLINK,
    tarfile.LNKTYPE: EntryType.HARDLINK,
    tarfile.FIFOTYPE: EntryType.SPECIAL,
    tarfile.CHRTYPE: EntryType.SPECIAL,
}
_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def read(data: bytes, part: int = 1000) -> list[tuple[str, EntryType, str, bytes]]:
    parts = (data[start : start + part] for start in range(0, len(data), part))
    reader = ByteReader(parts, "x.tar")
    return [
        (entry.name, entry.type, entry.link, reader.take(entry.size))
        for entry in entries(reader, "x.tar")
    ]


def written(members: list[tuple[str, bytes, str, bytes]], archive_format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=archive_format) as archive:
        for name, kind, link, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = link if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def from_tarfile(data: bytes) -> list[tuple[str, EntryType, str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = []
        for info in archive:
            content = archive.extractfile(info) if info.isreg() else None
            body = content.read() if content else b""
            found.append((info.name.rstrip("/"), _TYPES[info.type], info.linkname, body))
        return found


names = st.text(
    st.characters(exclude_characters="\0", categories=None, exclude_categories=["Cs"]),
    min_size=1,
    max_size=150,
).filter(lambda name: name.strip("/") and not name.endswith("/"))
members = st.lists(
    st.tuples(
        names,
        st.sampled_from(sorted(set(_TYPES) - {tarfile.AREGTYPE})),
        names,
        st.binary(max_size=2000),
    ),
    max_size=8,
)


@given(members, st.sampled_from(_FORMATS[1:]), st.integers(1, 3000))
def test_reads_what_tarfile_writes(
    members: list[tuple[str, bytes, str, bytes]], archive_format: int, part: int
) -> None:
    data = written(members, archive_format)
    ours = [(name.rstrip("/"), *rest) for name, *rest in read(data, part)]
    assert ours == from_tarfile(data)


def test_reads_ustar_prefixes() -> None:
    name = "/".join(["directory"] * 20) + "/file"
    data = written([(name, tarfile.REGTYPE, "", b"abc")], tarfile.USTAR_FORMAT)
    assert read(data) == [(name, EntryType.FILE, "", b"abc")]


@pytest.mark.parametrize("archive_format", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_reads_what_gnu_tar_writes(tmp_path: Path, archive_format: str) -> None:
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr" / "a.so").write_bytes(b"a" * 700)
    (tree / "usr" / "b.so").hardlink_to(tree / "usr" / "a.so")
    (tree / "lib").symlink_to("usr")
    if archive_format != "v7":
        (tree / ("d" * 90) / ("e" * 90)).mkdir(parents=True)
        (tree / ("d" * 90) / ("e" * 90) / "long").write_bytes(b"x")
    packed = tmp_path / "x.tar"
    command: list[str | Path] = [
        "tar",
        f"--format={archive_format}",
        "-cf",
        packed,
        "-C",
        tree,
        ".",
    ]
    subprocess.run(command, check=True)
    data = packed.read_bytes()
    assert [(name.rstrip("/"), *rest) for name, *rest in read(data)] == from_tarfile(data)


@pytest.mark.slow
@settings(max_examples=500)
@given(members, st.sampled_from(_FORMATS[1:]), st.data())
def test_damage_is_an_error_of_ours_or_harmless(
    members: list[tuple[str, bytes, str, bytes]], archive_format: int, data: st.DataObject
) -> None:
    archive = bytearray(written(members, archive_format))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at] = data.draw(st.integers(0, 255))
    kept = archive[: data.draw(st.integers(0, len(archive)))]
    try:
        read(bytes(kept))
    except SmforgeError as error:
        assert error.message.startswith("x.tar ")  # noqa: PT017


@given(st.binary(max_size=3000))
def test_noise_is_an_error_of_ours_or_empty(noise: bytes) -> None:
    with contextlib.suppress(DamagedInputError):
        assert read(noise) == []


@given(st.integers(1, 5000))
def test_an_archive_cut_within_a_member_is_damaged(cut: int) -> None:
    whole = written([("a", tarfile.REGTYPE, "", b"x" * 5000)], tarfile.GNU_FORMAT)
    with pytest.raises(DamagedInputError, match=r"ends at byte|early"):
        read(whole[: 512 + cut - 1])


def test_a_changed_header_is_damaged() -> None:
    data = bytearray(written([("abc", tarfile.REGTYPE, "", b"")], tarfile.GNU_FORMAT))
    data[0] ^= 1
    with pytest.raises(DamagedInputError, match="checksum"):
        read(bytes(data))


def test_a_member_after_one_zero_block_is_not_overlooked() -> None:
    member = written([("a", tarfile.REGTYPE, "", b"")], tarfile.GNU_FORMAT)[:512]
    with pytest.raises(DamagedInputError, match="single zero block"):
        read(bytes(512) + member)


def test_a_giant_extended_header_is_refused_unread() -> None:
    info = tarfile.TarInfo("a")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 40
    with pytest.raises(LimitExceededError, match="1099511627776 bytes"):
        read(info.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (b"30 GNU.sparse.major=1\n", "cannot be read"),
        (b"22 GNU.sparse.major=1\n", "sparse"),
        (b"11 size=-5\n", "number"),
        (b"99 path=a\n", "cannot be read"),
        (b"12 path=a\0b\n", "zero byte"),
        (b"path=a\n", "cannot be read"),
    ],
)
def test_unreadable_extended_headers_are_refused(records: bytes, message: str) -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    header.size = len(records)
    data = header.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0")
    data += written([("a", tarfile.REGTYPE, "", b"")], tarfile.USTAR_FORMAT)
    with pytest.raises(DamagedInputError, match=message):
        read(data)


def test_old_sparse_members_are_refused() -> None:
    info = tarfile.TarInfo("a")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(DamagedInputError, match="type b'S'"):
        read(info.tobuf(tarfile.GNU_FORMAT))


def test_sizes_beyond_octal_are_read_from_both_forms(tmp_path: Path) -> None:
    size = (8 << 30) + 5
    for archive_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("big")
        info.size = size
        header = info.tobuf(archive_format)
        path = tmp_path / "big.tar"
        with path.open("wb") as file:
            file.write(header)
            file.truncate(len(header) + size + -size % 512)
        with path.open("rb") as file:
            reader = FileReader(file.fileno(), "big.tar")
            assert [entry.size for entry in entries(reader, "big.tar")] == [size]


@given(members)
def test_reading_by_seeking_finds_the_same(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes, str, bytes]]
) -> None:
    data = written(members, tarfile.GNU_FORMAT)
    path = tmp_path_factory.mktemp("seek") / "x.tar"
    path.write_bytes(data)
    with path.open("rb") as file:
        reader = FileReader(file.fileno(), "x.tar")
        found = [(entry.name, entry.type, entry.size) for entry in entries(reader, "x.tar")]
    assert found == [(name, kind, len(body)) for name, kind, _, body in read(data)]
