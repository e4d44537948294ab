"""The words of two releases of cuobjdump mean the same code objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.inventory.cuobjdump.listing import CubinListing, FatbinListing
from smforge.inventory.cuobjdump.reading import guess_regions
from smforge.inventory.records import Kind

DATA = Path(__file__).parent / "data"
NAMES = ("_Z3addIfEvPT_S0_", "_Z3addIiEvPT_S0_", "_Z5plainPi")


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Chunks of whole lines of about `size` bytes, as a pipe gives them."""
    lines = data.splitlines(keepends=True)
    while lines:
        chunk = b""
        while lines and len(chunk) < size:
            chunk += lines.pop(0)
        yield chunk


@pytest.mark.parametrize("size", [1, 50, 700, 1 << 20])
@pytest.mark.parametrize(
    ("release", "blackwell"), [("13.5", "12.0f"), ("12.8", "12.0?")], ids=["13.5", "12.8"]
)
def test_fatbins(release: str, blackwell: str, size: int) -> None:
    listing = FatbinListing(tells_families=release != "12.8")
    for chunk in pieces((DATA / f"listing-{release}.txt").read_bytes(), size):
        listing.feed(chunk)
    found = [code for _, code in listing.objects(names=True)]
    assert [(code.kind.value, str(code.target), code.kernels) for code in found] == [
        ("cubin", blackwell, ()),
        ("cubin", "8.0", ()),
        ("cubin", "11.0a", ()),
        ("cubin", blackwell, NAMES),
        ("ptx", "8.0", NAMES),
        ("cubin", "8.0", NAMES),
        ("cubin", "11.0a", NAMES),
    ]
    assert found[4].ptx_isa == "9.0"
    assert all(code.ptx_isa is None for code in found if code.kind is Kind.CUBIN)


@pytest.mark.parametrize("release", ["13.5", "12.8"])
def test_a_raw_cubin_for_120f_is_never_120(release: str) -> None:
    listing = CubinListing()
    listing.feed((DATA / f"cubin-{release}.txt").read_bytes())
    code = listing.code_object(100, names=True)
    assert str(code.target) == "12.0f"
    assert code.kernels == NAMES


def test_a_raw_cubin_without_notes_has_an_unknown_suffix() -> None:
    lines = (DATA / "cubin-13.5.txt").read_bytes().splitlines()
    listing = CubinListing()
    listing.feed(b"\n".join(line for line in lines if b"Tool" not in line))
    assert str(listing.code_object(100, names=True).target) == "12.0?"


def test_regions_are_guessed_where_a_target_repeats() -> None:
    listing = FatbinListing()
    listing.feed((DATA / "listing-13.5.txt").read_bytes())
    regions = guess_regions(listing.objects(names=True))
    assert [len(region.objects) for region in regions] == [3, 4]


def test_regions_are_guessed_where_no_kernel_is_shared() -> None:
    heading = b"\nFatbin elf code:\n====\narch = %s\ncode version = [1,8]\n\nsymbols:\n"
    listing = FatbinListing()
    for target, kernels in (
        (b"sm_80", b"ab"),
        (b"sm_90", b"b"),
        (b"sm_100", b"c"),
        (b"sm_75", b""),
    ):
        listing.feed(heading % target)
        for letter in kernels:
            listing.feed(b"FUNC GLOBAL DEFAULT ENTRY %c\n" % letter)
    regions = guess_regions(listing.objects(names=True))
    assert [len(region.objects) for region in regions] == [2, 2]


def test_without_names_nothing_is_said_of_kernels() -> None:
    listing = FatbinListing()
    listing.feed((DATA / "listing-13.5.txt").read_bytes())
    assert {code.kernels for _, code in listing.objects(names=False)} == {None}


def test_members_of_an_archive_are_told_apart() -> None:
    text = (DATA / "listing-13.5.txt").read_bytes()
    listing = FatbinListing()
    for name in (b"one.o", b"two.o"):
        listing.feed(b"\nmember /proc/self/fd/7:" + name + b":\n" + text)
    assert {member for member, _ in listing.objects(names=True)} == {"one.o", "two.o"}


@pytest.mark.parametrize(
    "text",
    [
        b"Fatbin elf code:\n================\n",
        b"Fatbin elf code:\n================\narch = sm_zz\n",
        b"Fatbin elf code:\nFatbin elf code:\narch = sm_80\n",
    ],
)
def test_a_heading_without_an_architecture_is_refused(text: bytes) -> None:
    def read() -> None:
        listing = FatbinListing()
        listing.feed(text)
        listing.objects(names=True)

    with pytest.raises(DamagedInputError):
        read()


def test_a_cubin_listing_without_a_heading_is_refused() -> None:
    with pytest.raises(DamagedInputError):
        CubinListing().code_object(1, names=True)


LISTING = (DATA / "listing-13.5.txt").read_bytes()


@given(
    st.lists(
        st.sampled_from([*LISTING.splitlines(keepends=True), b"member x:y:\n", b"FUNC\n", b"\n"])
        | st.binary(max_size=40),
        max_size=60,
    ),
    st.integers(1, 200),
)
@example([b"FUNC \n"], 1)
@example([b"Fatbin ptx code:\n", b"arch = sm_80\n", b"\n", b".entry"], 200)
def test_no_text_raises_anything_but_damage(lines: list[bytes], size: int) -> None:
    for reader in (FatbinListing(), CubinListing()):
        try:
            for chunk in pieces(b"".join(lines), size):
                reader.feed(chunk)
            if isinstance(reader, FatbinListing):
                reader.objects(names=True)
            else:
                reader.code_object(1, names=True)
        except DamagedInputError:
            continue
