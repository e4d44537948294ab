"""Archives in a subject are read like folders; what is not read is never passed over."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, UsageError
from smforge.inventory.archives.archive_form import form_of
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.fatbin import REGION_MAGIC
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Inventory, SubjectKind
from smforge.inventory.subjects.opening import names_one_file
from smforge.inventory.survey import take_inventory

PTX = b".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\nret;\n}\n"
Pack = Callable[..., bytes]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def old_tar(**members: bytes) -> bytes:
    """As before POSIX: nothing but the checksum tells that it is a tar."""
    data = bytearray(tarred(**members))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def deb(**members: bytes) -> bytes:
    parts = {"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(tarred(**members))}
    data = b"!<arch>\n"
    for name, content in parts.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        data += header.encode() + content + b"\n" * (len(content) % 2)
    return data


PACKERS: dict[str, tuple[Pack, str]] = {
    "zip": (zipped, ""),
    "program": (lambda **members: shebang(zipped(**members)), ""),
    "tar": (tarred, ""),
    "old": (old_tar, ""),
    "gzip": (lambda **members: gzip.compress(tarred(**members)), ""),
    "bzip2": (lambda **members: bz2.compress(tarred(**members)), ""),
    "xz": (lambda **members: lzma.compress(tarred(**members)), ""),
    "zstd": (lambda **members: zstandard.compress(tarred(**members)), ""),
    "conda": (lambda **members: zipped(**{"p.tar.zst": zstandard.compress(tarred(**members))}),
              "p.tar.zst/"),
    "deb": (deb, "data.tar.xz/"),
}  # fmt: skip


def shebang(data: bytes) -> bytes:
    buffer = io.BytesIO()
    buffer.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(io.BytesIO(data)) as read, zipfile.ZipFile(buffer, "a") as written:
        for name in read.namelist():
            written.writestr(name, read.read(name))
    return buffer.getvalue()


def paths(inventory: Inventory) -> list[str]:
    return [file.path for file in inventory.files]


@pytest.mark.parametrize("form", PACKERS)
def test_every_form_is_read_where_it_lies(form: str, tmp_path: Path) -> None:
    pack, inside = PACKERS[form]
    data = pack(**{"x/k.ptx": PTX, "x/readme": b"text"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "archive").write_bytes(data)
    wheel = tmp_path / "w-1-py3-none-any.whl"
    wheel.write_bytes(zipped(**{"w/archive": data}))
    for subject, place in ((folder, "archive"), (wheel, "w/archive")):
        inventory = take_inventory(str(subject))
        assert paths(inventory) == [f"{place}/{inside}x/k.ptx"]
        assert inventory.damage == ()


@pytest.mark.parametrize("form", PACKERS)
def test_every_form_is_a_subject(form: str, tmp_path: Path) -> None:
    pack, inside = PACKERS[form]
    path = tmp_path / "package-1"
    path.write_bytes(pack(**{"x/k.ptx": PTX}))
    inventory = take_inventory(str(path))
    assert paths(inventory) == [f"{inside}x/k.ptx"]
    assert inventory.subject.kind is SubjectKind.ARCHIVE
    assert inventory.subject.digest
    assert not names_one_file(str(path))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_file_may_be_compressed_alone(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "k.ptx.gz").write_bytes(pack(PTX))
    (folder / "text.gz").write_bytes(pack(b"nothing"))
    inventory = take_inventory(str(folder))
    assert paths(inventory) == ["k.ptx.gz/k.ptx"]
    assert inventory.damage == ()


def test_a_file_beyond_what_is_held_in_memory_is_the_same(tmp_path: Path) -> None:
    long = PTX + b"// and so on\n" * 500_000
    (tmp_path / "a.gz").write_bytes(gzip.compress(long))
    (tmp_path / "b.tar").write_bytes(tarred(**{"k.ptx": long}))
    files = take_inventory(str(tmp_path)).files
    assert [(file.path, file.size) for file in files] == [
        ("a.gz/a", len(long)),
        ("b.tar/k.ptx", len(long)),
    ]
    assert files[0].sha256 == files[1].sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(a=b"text" * 99)[:-10], "no end record"),
        (tarred(a=b"text" * 999)[:-9000], "ends at byte"),
        (gzip.compress(tarred(a=b"text" * 9999))[:-50], "cut off"),
        (bz2.compress(tarred(a=b"text" * 9999))[:-50], "cut off"),
        (lzma.compress(tarred(a=b"text" * 9999))[:-50], "cut off"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "of the form 7z, which is not read"),
        (b"Rar!\x1a\x07\x01\0", "of the form rar"),
        (b"070701" + b"0" * 104, "of the form cpio"),
        (b"\xed\xab\xee\xdb" + bytes(92), "of the form rpm"),
        (b"hsqs" + bytes(92), "of the form squashfs"),
        (b"\x04\x22\x4d\x18" + bytes(92), "of the form lz4"),
    ],
)
def test_what_cannot_be_read_is_damage(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(content)
    (tmp_path / "wheel.whl").write_bytes(zipped(**{"w/data.bin": content}))
    damage = take_inventory(str(tmp_path)).damage
    assert [item.path for item in damage] == ["data.bin", "wheel.whl/w/data.bin"]
    assert all(message in item.message for item in damage)
    with pytest.raises(DamagedInputError, match=message):
        take_inventory(str(tmp_path / "data.bin"))


def test_a_member_that_is_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    inner = bytearray(zipped(**{"a.ptx": PTX, "b.ptx": PTX}))
    inner[6] |= 1
    inner[inner.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "x.jar").write_bytes(inner)
    inventory = take_inventory(str(tmp_path))
    assert paths(inventory) == ["x.jar/b.ptx"]
    assert [item.path for item in inventory.damage] == ["x.jar/a.ptx"]


def test_archives_are_followed_to_a_depth(tmp_path: Path) -> None:
    data = PTX
    for number in range(4):
        data = zipped(**{f"{number}.ptx" if not number else f"{number}.zip": data})
    (tmp_path / "x").write_bytes(data)
    inventory = take_inventory(str(tmp_path))
    assert inventory.files == ()
    assert "within 3 other archives" in inventory.damage[0].message
    limits = Limits(nesting=4)
    assert paths(take_inventory(str(tmp_path), ReadOptions(limits=limits))) == [
        "x/3.zip/2.zip/1.zip/0.ptx"
    ]


def test_bombs_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(zipped(a=zipped(b=bytes(8 << 20))))
    (tmp_path / "b.whl").write_bytes(zipped(a=gzip.compress(tarred(b=bytes(8 << 20)))))
    limits = Limits(ratio_floor=1 << 20, ratio=100)
    damage = take_inventory(str(tmp_path), ReadOptions(limits=limits)).damage
    assert {item.path.partition("/")[0] for item in damage} == {"a.whl", "b.whl"}
    many = {f"{number}.zip": zipped(a=b"", b=b"") for number in range(9)}
    (tmp_path / "c.whl").write_bytes(zipped(**many))
    damage = take_inventory(str(tmp_path), ReadOptions(limits=Limits(members=15))).damage
    assert any("more than 15 members" in item.message for item in damage)


def test_many_small_archives_are_held_to_the_limits_of_one(tmp_path: Path) -> None:
    folders = old_tar(**{f"{number}": b"" for number in range(400)})
    many = {f"{number}.tgz": gzip.compress(folders) for number in range(20)}
    (tmp_path / "a.whl").write_bytes(zipped(**many))
    for limits in (Limits(members=2000), Limits(ratio_floor=1 << 20, ratio=20)):
        inventory = take_inventory(str(tmp_path), ReadOptions(limits=limits))
        assert "looks like an archive made to exhaust" in inventory.damage[0].message
        # Each of them alone is within the limits.
        assert 2 * 400 < inventory.examined < 10 * 400
    assert take_inventory(str(tmp_path)).damage == ()


@pytest.mark.parametrize("name", ["w-1-py3-none-any.whl", "w-1-cp311-cp311-linux_x86_64.whl"])
def test_an_empty_archive_is_no_wheel(name: str, tmp_path: Path) -> None:
    for data in (zipped(), zipped(**{"folder/": b""})):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DamagedInputError, match="holds no file"):
            take_inventory(str(tmp_path / name))
    (tmp_path / name).write_bytes(gzip.compress(tarred(a=b"text")))
    with pytest.raises(DamagedInputError, match="named like a wheel"):
        take_inventory(str(tmp_path / name))


def test_an_archive_is_no_wheel_and_no_library(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(**{"k.ptx": PTX}))
    assert take_inventory(str(tmp_path / "x.zip")).subject.kind is SubjectKind.ARCHIVE
    (tmp_path / "libx.so").write_bytes(gzip.compress(PTX))
    with pytest.raises(DamagedInputError, match="named like a library"):
        take_inventory(str(tmp_path / "libx.so"))
    (tmp_path / "x.tar.gz").write_bytes(b"text")
    with pytest.raises(DamagedInputError, match="named like a gzip file"):
        take_inventory(str(tmp_path / "x.tar.gz"))


@pytest.mark.parametrize("name", ["oci-layout", "manifest.json"])
def test_a_saved_image_is_no_archive_of_files(name: str, tmp_path: Path) -> None:
    content = b'[{"Config": "x.json"}]'
    (tmp_path / "image.tar.gz").write_bytes(gzip.compress(tarred(**{name: content})))
    with pytest.raises(UsageError, match="archive:FILE"):
        take_inventory(str(tmp_path / "image.tar.gz"))


def fatbin(payload: bytes = bytes(8)) -> bytes:
    fields = (1, 0x101, 64, len(payload), 0, 0, 0, 9, 90, 0, 0, 1, 0, 0)
    entry = struct.pack("<HHIQIIHHIIIQQQ", *fields) + payload
    return REGION_MAGIC + struct.pack("<Q", len(entry)) + entry


def windows_file(section: bytes, content: bytes) -> bytes:
    header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 1, 0, 0x2022)
    return header + coff + section.ljust(8, b"\0") + bytes(32) + content


@pytest.mark.parametrize(
    ("content", "damaged"),
    [
        (windows_file(b".nv_fatb", b""), True),
        (windows_file(b".rdata", fatbin()), True),
        (windows_file(b".rdata", REGION_MAGIC + bytes(99)), False),
        (windows_file(b".text", b"code"), False),
        (b"MZ", False),
        (b"MZ is how this text begins, and it says nothing of any kernel, but goes on", False),
        (b"MZ" + bytes(58) + b"\xff" * 9, False),
    ],
)
def test_gpu_code_for_windows_that_is_not_whole(
    content: bytes, damaged: bool, tmp_path: Path
) -> None:
    (tmp_path / "x.whl").write_bytes(zipped(**{"x/_C.pyd": content}))
    inventory = take_inventory(str(tmp_path / "x.whl"))
    assert [file.path for file in inventory.files if file.damage] == ["x/_C.pyd"] * damaged
    assert len(inventory.files) == damaged


@given(st.binary(max_size=300), st.sampled_from([b"MZ", b"MZ" + bytes(58) + b"@\0\0\0PE\0\0"]))
def test_nothing_that_begins_like_a_windows_file_raises(rest: bytes, start: bytes) -> None:
    read_file("x.dll", BytesBlob(start + rest), ReadOptions())


@given(st.binary(max_size=600))
def test_any_bytes_have_a_form_or_none(data: bytes) -> None:
    form_of(data)
    form_of(data[:100] + bytes(48) + b"0001234\0" + data)


def test_a_layout_in_a_folder_is_read_as_an_image(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    for name in ("oci-layout", "index.json"):
        (tmp_path / "image" / name).write_text("{}")
    (tmp_path / "k.ptx").write_bytes(PTX)
    inventory = take_inventory(str(tmp_path))
    assert paths(inventory) == ["k.ptx"]
    assert [item.path for item in inventory.damage] == ["image"]
    with pytest.raises(UsageError, match="oci:"):
        take_inventory(str(tmp_path / "image"))


def test_a_compressed_text_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(64 << 20))[:-9])
    limits = Limits(ratio_floor=1 << 20, ratio=100)
    assert take_inventory(str(tmp_path), ReadOptions(limits=limits)).damage == ()


@pytest.mark.parametrize(
    ("name", "content", "damaged"),
    [
        ("q.whl", b"<html>not found</html>", True),
        ("q.whl", b"", True),
        ("q.whl", zipped(), True),
        ("q.whl", gzip.compress(tarred(a=b"text")), True),
        ("q.zip", b"version https://git-lfs.github.com/spec/v1\n", True),
        ("q.tar.gz", b"<html>not found</html>", True),
        ("q.jar", b"text", True),
        ("q.zip", b"", False),
        ("q.zip", zipped(), False),
        ("q.tar", gzip.compress(tarred(a=b"text")), False),
        ("q.gz", b"text", False),
    ],
)
def test_what_is_named_like_an_archive_and_is_none_is_damage(
    name: str, content: bytes, damaged: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert [item.path for item in take_inventory(str(tmp_path)).damage] == [name] * damaged


@pytest.mark.parametrize(
    "target", ["first.fatbin", "./a/../first.fatbin", "second.fatbin", "last.fatbin", "none.fatbin"]
)
def test_a_hard_link_leads_to_an_entry_before_it(tmp_path: Path, target: str) -> None:
    code = REGION_MAGIC + bytes(8)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("first.fatbin", "second.fatbin", "linked.fatbin", "last.fatbin"):
            info = tarfile.TarInfo(name)
            if name in {"second.fatbin", "linked.fatbin"}:
                info.type = tarfile.LNKTYPE
                info.linkname = target if name == "linked.fatbin" else "first.fatbin"
                archive.addfile(info)
            else:
                info.size = len(code)
                archive.addfile(info, io.BytesIO(code))
    (tmp_path / "x.tar.gz").write_bytes(buffer.getvalue())
    found = take_inventory(str(tmp_path / "x.tar.gz"))
    damaged = target in {"last.fatbin", "none.fatbin"}
    assert [item.path for item in found.damage] == (["linked.fatbin"] if damaged else [])


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc/self/mem here")
def test_a_link_to_what_opens_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "mem.so").symlink_to("/proc/self/mem")
    (damage,) = take_inventory(str(tmp_path)).damage
    assert damage.path == "mem.so"
