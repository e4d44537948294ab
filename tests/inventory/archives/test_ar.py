"""Static archives of every flavour, and damaged ones."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.inventory.archives import ar
from smforge.inventory.formats.blob import BytesBlob


def header(name: bytes, size: int) -> bytes:
    return b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, 0, 0, 0, 0o644, size)


def bsd(name: bytes, content: bytes) -> bytes:
    size = len(name) + len(content)
    return header(b"#1/%d" % len(name), size) + name + content + b"\n" * (size & 1)


def read(data: bytes) -> dict[str, bytes]:
    blob = BytesBlob(data)
    return {member.name: blob.read_at(member.offset, member.size) for member in ar.members(blob)}


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text("abcdefghijklmnop-_", min_size=1, max_size=30).map(lambda name: f"{name}.o"),
        st.binary(max_size=99),
        min_size=1,
        max_size=4,
    )
)
def test_what_ar_packs_is_read(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp("ar")
    for name, content in members.items():
        (folder / name).write_bytes(content)
    subprocess.run(["ar", "rc", "x.a", "--", *members], cwd=folder, check=True)

    assert read((folder / "x.a").read_bytes()) == members


def test_names_as_bsd_writes_them():
    assert read(ar.MAGIC + bsd(b"a long name of an object.o\0\0", b"content")) == {
        "a long name of an object.o": b"content"
    }


def test_symbol_tables_are_no_members():
    tables = header(b"/", 4) + b"abcd" + header(b"/SYM64/", 2) + b"ab"
    assert read(ar.MAGIC + tables + header(b"x.o/", 1) + b"1\n") == {"x.o": b"1"}


@pytest.mark.parametrize(
    "damaged",
    [
        header(b"x.o/", 10) + b"short",
        header(b"x.o/", 4)[:-1] + b"?" + b"1234",
        header(b"x.o/", 4)[:40],
        header(b"x.o/", 4).replace(b"4         `", b"-4        `") + b"1234",
        header(b"#1/20", 4) + b"1234",
        header(b"#1/x", 4) + b"1234",
        header(b"//", 1 << 30),
    ],
)
def test_damage_is_said(damaged):
    with pytest.raises(DamagedInputError):
        read(ar.MAGIC + damaged)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(noise):
    with suppress(DamagedInputError):
        read(ar.MAGIC + noise)
