"""The manifest of slimmed copies, which may say anything."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.target import ComputeCapability
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.rewrite_manifest import ManifestFinder, SlimmedCopy
from smforge.inventory.subjects.members import Member

PLACE = "x-1.0.dist-info/smforge-rewrite.json"
UNKNOWN = SlimmedCopy(PLACE, "", frozenset())


def found(data: bytes, path: str = PLACE, size: int | None = None) -> tuple[SlimmedCopy, ...]:
    finder = ManifestFinder()
    length = len(data) if size is None else size
    finder.note(Member(path, length, lambda: nullcontext(BytesBlob(data)), data[:16]))
    return finder.copies(lambda member: (member.path,))


def manifest(**changed: Any) -> bytes:
    document = {
        "original": "x-1.0-py3-none-any.whl",
        "keep": ["12.0", "12.1"],
        "libraries": [{"regions": [{"dropped": []}, {"dropped": [{"target": "sm_90"}]}]}],
    }
    return json.dumps(document | changed).encode()


def test_what_was_kept_is_read() -> None:
    (copy,) = found(manifest())
    assert copy.original == "x-1.0-py3-none-any.whl"
    assert copy.kept == {ComputeCapability(12, 0), ComputeCapability(12, 1)}


def test_a_copy_that_lost_nothing_is_none() -> None:
    assert found(manifest(libraries=[{"regions": [{"dropped": []}]}])) == ()
    assert found(manifest(libraries=[])) == ()


def test_a_file_of_another_name_is_not_read() -> None:
    assert found(manifest(), "x/not-smforge-rewrite.json") == ()
    assert len(found(manifest(), "smforge-rewrite.json")) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe",
        manifest()[:-5],
        manifest(keep=None),
        manifest(keep=["twelve"]),
        manifest(keep=[12.0]),
        manifest(libraries=[{"regions": 3}]),
        manifest(libraries=[{}]),
    ],
)
def test_what_cannot_be_read_keeps_no_device_for_certain(data: bytes) -> None:
    assert found(data) == (UNKNOWN,)


def test_one_that_is_too_long_is_not_read() -> None:
    assert found(manifest(), size=1 << 40) == (UNKNOWN,)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("12.1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keep", "libraries", "regions", "dropped", "original"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_content_raises(data: bytes) -> None:
    for copy in found(data):
        assert copy == UNKNOWN or copy.original
