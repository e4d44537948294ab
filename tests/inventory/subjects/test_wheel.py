"""Wheels: every member is listed or the archive is refused; nothing unpacks without bounds."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.platforms import wheel_platform
from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.archives.archive_form import Form
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import SubjectKind
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.subjects.wheel import PackedSubject
from smforge.inventory.survey import take_inventory

ZIP = Form("zip", read=True)
END = struct.Struct("<4s4H2IH")


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        for name, content in members:
            written.writestr(name, content)
    return buffer.getvalue()


def unpack(data: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    """Everything in an archive, as the subject gives it."""
    with PackedSubject("x.zip", BytesBlob(data), ZIP, limits or Limits(), digests=False) as subject:
        found = {}
        for member in subject.members():
            with member.open() as blob:
                found[member.path] = blob.read_at(0, blob.size)
            assert member.head == found[member.path][:512]
        assert subject.damage == ()
        return found


def listed(data: bytes) -> list[str]:
    with PackedSubject("x.zip", BytesBlob(data), ZIP, Limits(), digests=False) as subject:
        return [member.path for member in subject.members()]


contents = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=8),
    st.binary(max_size=2000).map(lambda data: data * 3),
    max_size=5,
)


@given(contents, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_members_come_out_as_they_went_in(members, method):
    assert unpack(archive(*members.items(), method=method)) == members


def test_a_streamed_archive_with_sizes_behind_the_data():
    buffer = io.BytesIO()

    class Unseekable(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return buffer.write(data)

    with zipfile.ZipFile(Unseekable(), "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a", b"1" * 5000)
        written.writestr("b", b"2" * 5000)
    assert unpack(buffer.getvalue()) == {"a": b"1" * 5000, "b": b"2" * 5000}


def test_zip64_sizes_are_read():
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as written,
        written.open("large", "w", force_zip64=True) as member,
    ):
        member.write(b"content")
    assert unpack(buffer.getvalue()) == {"large": b"content"}


def test_a_zip64_end_record_is_read(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = archive(("a", b"1"), ("b", b"2"))
    assert b"PK\x06\x06" in data
    assert unpack(data) == {"a": b"1", "b": b"2"}


def test_folders_are_no_members():
    assert listed(archive(("folder/", b""), ("folder/a", b"1"))) == ["folder/a"]


def test_a_folder_with_content_is_damage():
    data = archive(("folder/b.so/", b"what pip would leave out"), ("folder/a", b"1"))
    with PackedSubject("x.zip", BytesBlob(data), ZIP, Limits(), digests=False) as subject:
        assert [member.path for member in subject.members()] == ["folder/a"]
        assert [damage.path for damage in subject.damage] == ["folder/b.so/"]


def with_end_record(data: bytes, **changes: int) -> bytes:
    fields = ["magic", "disk", "start", "here", "count", "size", "offset", "comment"]
    values = dict(zip(fields, END.unpack(data[-END.size :]), strict=True)) | changes
    return data[: -END.size] + END.pack(*values.values())


WHOLE = archive(("a.so", b"\x7fELF" * 100), ("b.py", b"print()" * 50))


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (with_end_record(WHOLE, size=0), "not where its end record says"),
        (with_end_record(WHOLE, size=0, count=0, here=0), "not where its end record says"),
        (
            with_end_record(WHOLE, size=0, count=0, here=0, offset=len(WHOLE) - END.size),
            "its directory lists none",
        ),
        (with_end_record(WHOLE, count=1, here=1), "more entries than it states"),
        (with_end_record(WHOLE, count=3, here=3), "ends early"),
        (with_end_record(WHOLE, count=1), "one part of several"),
        (WHOLE + END.pack(b"PK\5\6", 0, 0, 0, 0, 0, len(WHOLE), 0), "its directory lists none"),
        (WHOLE[: len(WHOLE) // 2], "no end record"),
        (WHOLE[:-1], "no end record"),
        (b"prefix" + WHOLE, "not where its end record says"),
        (WHOLE.replace(b"PK\1\2", b"PK\1\3", 1), "an entry that is not one"),
        (b"PK\x03\x04 text", "no end record"),
        (b"PK\x05\x06", "no end record"),
    ],
)
def test_a_damaged_directory_is_never_an_empty_one(damaged, message):
    with pytest.raises(DamagedInputError, match=message):
        listed(damaged)


def test_a_second_end_record_in_the_comment_is_refused():
    inner = END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    data = with_end_record(WHOLE, comment=len(inner)) + inner

    with pytest.raises(DamagedInputError, match="two end records"):
        listed(data)


def test_members_that_the_directory_leaves_out_are_noticed():
    first, second = archive(("a", b"1" * 90)), archive(("b", b"2" * 90))
    start = first.index(b"PK\1\2")
    # The directory of the second archive, shifted behind the first one's member.
    moved = bytearray(second)
    at = moved.index(b"PK\1\2")
    struct.pack_into("<I", moved, at + 42, start)
    struct.pack_into("<I", moved, len(moved) - 6, at + start)

    with pytest.raises(DamagedInputError, match="does not list"):
        listed(first[:start] + bytes(moved))


def test_members_that_share_bytes_are_refused():
    data = bytearray(archive(("a", b"1" * 90), ("b", b"2" * 90)))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    struct.pack_into("<I", data, second + 42, 0)

    with pytest.raises(DamagedInputError, match="overlaps"):
        listed(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bytes_that_do_not_match_their_checksum_are_damage(method):
    data = bytearray(archive(("a.so", b"\x7fELF" + bytes(range(250)) * 8), method=method))
    data[data.index(b"a.so") + 600 if method == zipfile.ZIP_STORED else 14] ^= 1
    directory = data.index(b"PK\1\2")
    data[directory + 16] ^= method == zipfile.ZIP_DEFLATED

    with pytest.raises(DamagedInputError, match="checksum"):
        unpack(bytes(data))


def test_an_encrypted_member_is_damage_of_the_subject(tmp_path: Path):
    data = bytearray(archive(("a.so", b"\x7fELF" * 100), ("b.so", b"text")))
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + flags] |= 1
    path = tmp_path / "x.whl"
    path.write_bytes(data)

    (damage,) = take_inventory(str(path)).damage
    assert damage.path == "a.so"
    assert "encrypted" in damage.message


def test_a_member_listed_twice_is_damage():
    with pytest.warns(UserWarning, match="Duplicate"):
        data = archive(("a", b"1"), ("a", b"2"))
    with PackedSubject("x.zip", BytesBlob(data), ZIP, Limits(), digests=False) as subject:
        assert len(list(subject.members())) == 2
        assert "2 members" in subject.damage[0].message


def test_a_bomb_is_refused_before_it_is_unpacked():
    data = archive(("zeros.so", bytes(8 << 20)))

    with pytest.raises(LimitExceededError, match="ratio"):
        listed_with(data, Limits(ratio_floor=1 << 20, ratio=100))
    with pytest.raises(LimitExceededError, match="members"):
        listed_with(archive(("a", b""), ("b", b"")), Limits(members=1))
    with pytest.raises(LimitExceededError, match="member_bytes"):
        unpack(data, Limits(member_bytes=1 << 20))


def listed_with(data: bytes, limits: Limits) -> list[str]:
    with PackedSubject("x.zip", BytesBlob(data), ZIP, limits, digests=False) as subject:
        return [member.path for member in subject.members()]


def test_a_member_that_unpacks_to_more_than_it_states_is_damage():
    data = bytearray(archive(("a.so", bytes(8 << 20))))
    directory = data.index(b"PK\1\2")
    struct.pack_into("<I", data, directory + 24, 1000)

    with pytest.raises(DamagedInputError, match="more than its 1000 bytes"):
        unpack(bytes(data))


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_no_flipped_byte_makes_members_vanish_silently(position, change):
    data = bytearray(WHOLE)
    data[position] ^= change
    try:
        found = unpack(bytes(data))
    except (DamagedInputError, AssertionError):
        return
    # Names and times are not protected by any checksum; contents are.
    assert sorted(map(len, found.values())) == [350, 400]


def test_the_subject_is_the_wheel(tmp_path: Path):
    path = tmp_path / "pkg-1.0-py3-none-manylinux_2_28_aarch64.whl"
    path.write_bytes(WHOLE)

    subject = take_inventory(str(path)).subject
    assert (subject.kind, subject.platform) == (SubjectKind.WHEEL, "linux/arm64")
    assert subject.digest is not None
    assert subject.digest.startswith("sha256:")
    assert take_inventory(str(path), ReadOptions(digests=False)).subject.digest is None


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("a-1-cp38-abi3-manylinux1_x86_64.whl", "linux/amd64"),
        ("a-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "linux/amd64"),
        ("a-1-py3-none-win_amd64.whl", None),
        ("a-1-py3-none-any.whl", None),
    ],
)
def test_platforms_of_wheels(name, platform):
    assert wheel_platform(name) == platform


def test_large_members_go_through_an_unnamed_file(tmp_path: Path, monkeypatch):
    content = b"\x7fELF" + bytes(1000) + zlib.compress(bytes(range(256)) * 999) * 400
    monkeypatch.setattr("smforge.inventory.subjects.archive_members._IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "x.whl"
    path.write_bytes(archive(("a.so", content)))

    with open_subject(str(path), ReadOptions()) as subject:
        (member,) = subject.members()
        with member.open() as blob:
            assert blob.read_at(0, blob.size) == content
            assert [found.name for found in tmp_path.iterdir()] == ["x.whl"]
