"""Kernel names by the short way and by the whole cubin; sources; what cannot be proven."""

from __future__ import annotations

import struct

import pytest

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats import cubin
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.formats.cubin import CubinReader
from smforge.inventory.formats.cubin_ends import NotKeptError, PartialBlob
from smforge.inventory.formats.cubin_prefix import (
    PrefixDoubt,
    kernels_of_prefix,
    names_come_first,
    names_end,
)
from smforge.inventory.formats.source_names import source_of

TARGETS = ["sm_75", "sm_90a", "sm_100f", "sm_121a"]
MANY = "\n".join(
    f'extern "C" __global__ void kernel_with_a_rather_long_name_{i}(int *x) {{ x[{i}] = {i}; }}'
    for i in range(300)
)


def leading(data: bytes) -> tuple[str, ...] | PrefixDoubt | None:
    end = names_end(data, 0)
    return kernels_of_prefix(data, end) if names_come_first(data[:128]) and end >= 0 else None


@pytest.mark.toolchain
@pytest.mark.parametrize("target", TARGETS)
def test_the_first_part_gives_the_names_that_the_whole_gives(samples, target):
    data = samples.cubin(target).read_bytes()

    assert leading(data) == CubinReader(BytesBlob(data)).contents().kernels == samples.NAMES


@pytest.mark.toolchain
def test_the_first_part_ends_where_the_names_do(samples):
    data = samples.compile("many.cubin", "-cubin", "-arch=sm_120", source=MANY).read_bytes()
    end = names_end(data, 0)

    assert (
        kernels_of_prefix(data[: end + 40], end) == CubinReader(BytesBlob(data)).contents().kernels
    )
    assert len(CubinReader(BytesBlob(data)).contents().kernels or ()) == 300
    # Found in pieces as well as at once, and never in a part that ends before.
    assert names_end(data[: end + 40], end - 1) == end
    assert all(names_end(data[:cut], 0) == -1 for cut in range(0, end, 997))


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["sm_75", "sm_90", "sm_120f"])
def test_code_that_is_no_kernel_is_told_by_the_symbols(samples, target):
    source = 'extern "C" __device__ __noinline__ int f(int x) { return x * 7; }\n' + MANY
    source += 'extern "C" __global__ void k(int *x) { *x = f(*x); }'
    flags = ("-cubin", "-rdc=true", f"-arch={target}")
    data = samples.compile("f.cubin", *flags, source=source).read_bytes()
    names = CubinReader(BytesBlob(data)).contents().kernels
    end = names_end(data, 0)

    assert names is not None
    assert "f" not in names
    assert "k" in names
    assert leading(data) == names
    # Less than all symbols is never taken for all.
    (symbols,) = (row for row in CubinReader(BytesBlob(data))._rows if row[1] == 2)
    cuts = range(end + 1, symbols[4] + symbols[5], 997)
    assert {kernels_of_prefix(data[:cut], end) for cut in cuts} == {PrefixDoubt.UNFINISHED}


@pytest.mark.toolchain
def test_symbols_that_say_otherwise_are_left_to_the_whole_cubin(samples):
    source = 'extern "C" __device__ __noinline__ int f(int x) { return x * 7; }\n'
    source += 'extern "C" __global__ void k(int *x) { *x = f(*x); }'
    data = samples.compile("f.cubin", "-cubin", "-rdc=true", "-arch=sm_90", source=source)
    data = data.read_bytes()
    reader = CubinReader(BytesBlob(data))
    (row,) = (row for row in reader._rows if row[1] == 2)

    assert leading(data) == ("k",)
    for at in range(row[4], row[4] + row[5], 24):
        if data[at + 4] & 0xF == 2:
            changed = bytearray(data)
            changed[at + 5] ^= 0x10
            assert leading(bytes(changed)) is PrefixDoubt.UNPROVEN


@pytest.mark.toolchain
def test_other_layouts_are_left_to_the_whole_cubin(samples):
    data = bytearray(samples.cubin("sm_90a").read_bytes())

    assert not names_come_first(b"\x7fELF" + bytes(200))
    assert not names_come_first(bytes(data[:70]))
    for offset, value in ((4, 1), (18, 62), (62, 7)):
        changed = bytearray(data)
        changed[offset] = value
        assert not names_come_first(bytes(changed[:128]))
    # More sections than names: something is missing.
    struct.pack_into("<H", data, 60, 5000)
    assert leading(bytes(data)) is PrefixDoubt.UNPROVEN


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(18, "<H", 62), (58, "<H", 40), (60, "<H", 60000), (40, "<Q", 1 << 40)],
)
def test_a_damaged_cubin_is_refused(samples, offset, form, value):
    data = bytearray(samples.cubin("sm_90a").read_bytes())
    struct.pack_into(form, data, offset, value)

    with pytest.raises(DamagedInputError):
        CubinReader(BytesBlob(bytes(data))).contents()


@pytest.mark.toolchain
def test_symbols_that_share_a_long_string_are_refused(samples, monkeypatch):
    """Each name is the end of the one before: their lengths add up by the square."""
    data = samples.compile("many.cubin", "-cubin", "-arch=sm_120", source=MANY).read_bytes()
    total = sum(len(name) for name in CubinReader(BytesBlob(data)).contents().kernels or ())
    monkeypatch.setattr(cubin, "_MOST_NAMES", total)
    CubinReader(BytesBlob(data)).contents()
    monkeypatch.setattr(cubin, "_MOST_NAMES", total - 1)
    with pytest.raises(LimitExceededError):
        CubinReader(BytesBlob(data)).contents()


def test_of_an_unknown_abi_the_target_is_not_guessed():
    header = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0x77, 0, 2, 190, 1, 0, 0, 0, 0, 64, 0, 0, 64, 0, 0,
    )  # fmt: skip

    with pytest.raises(DamagedInputError, match="0x77"):
        CubinReader(BytesBlob(header)).target()


def test_what_was_not_kept_is_not_invented():
    blob = PartialBlob(b"head", b"tail", 100)

    assert blob.read_at(1, 3) == b"ead"
    assert blob.read_at(97, 3) == b"ail"
    with pytest.raises(NotKeptError):
        blob.read_at(3, 2)
    with pytest.raises(DamagedInputError):
        blob.read_at(99, 2)


@pytest.mark.parametrize(
    ("symbols", "source"),
    [
        (b"\0_ZN34_INTERNAL_e472880c_4_k_cu_3398a441x\0", "k.cu"),
        (b"\0_ZN36_GLOBAL__N__e472880c_4_k_cu_3398a4414anonEPi\0", "k.cu"),
        (b"\0_INTERNAL_0a1b2c3d_21_flash_fwd_sm80_v2_cpp_0123_", "flash_fwd_sm80_v2.cpp"),
        (b"_INTERNAL_e472880c_4_k_cu_1 _INTERNAL_00000000_4_j_cu_1", None),
        (b"_INTERNAL_e472880c_99_k_cu_3398a441", None),
        (b"_Z5plainv", None),
    ],
)
def test_sources(symbols, source):
    assert source_of(symbols) == source
