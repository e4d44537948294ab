"""Wheels are read as installers read them, and damaged ones are told."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.publish.wheels import read_wheel

METADATA = (
    b"Metadata-Version: 2.1\nName: A.b\nVersion: 1.0+cu130\nRequires-Python: >=3.8,\n  <4\n\n"
)
NAME = "a_b-1.0+cu130-py3-none-any.whl"
INFO = "a_b-1.0+cu130.dist-info/METADATA"


def wheel(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = wheel(**{"a_b.py": b"", INFO: METADATA})


def read(folder: Path, content: bytes, name: str = NAME) -> object:
    (folder / name).write_bytes(content)
    return read_wheel(folder / name)


def test_a_wheel_is_what_its_metadata_says(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(GOOD)
    one = read_wheel(tmp_path / NAME)
    assert (one.project, str(one.version), one.size) == ("a-b", "1.0+cu130", len(GOOD))
    assert one.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert (one.metadata, one.requires_python) == (METADATA, ">=3.8, <4")
    assert one.metadata_sha256 == hashlib.sha256(METADATA).hexdigest()


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("a_b.whl", {INFO: METADATA}, "no wheel's name"),
        ("other-1.0+cu130-py3-none-any.whl", {INFO: METADATA}, "is A.b 1.0"),
        ("a_b-1.0-py3-none-any.whl", {INFO: METADATA}, "by its METADATA"),
        (NAME, {INFO: METADATA.replace(b"1.0+cu130", b"one")}, "by its METADATA"),
        (NAME, {"a_b.py": b""}, "holds 0 METADATA"),
        (NAME, {INFO: METADATA, "c-1.dist-info/METADATA": METADATA}, "holds 2 METADATA"),
        (NAME, {"deeper/a.dist-info/METADATA": METADATA}, "holds 0 METADATA"),
    ],
)
def test_what_installers_would_refuse_is_refused(
    name: str, files: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DamagedInputError, match=said):
        read(tmp_path, wheel(**files), name)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@example(edits=[(320, 1)], length=325)  # zipfile seeks to before the beginning.
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4),
    length=st.integers(0, len(GOOD)) | st.just(len(GOOD)),
)
def test_damage_is_told_as_damage(scratch: Path, edits: list[tuple[int, int]], length: int) -> None:
    content = bytearray(GOOD)
    for place, value in edits:
        content[place] = value
    said = NAME
    try:
        read(scratch, bytes(content[:length]))
    except DamagedInputError as error:
        said = str(error)
    assert NAME in said
