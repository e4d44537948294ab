"""Names as people read them: of real kernels, long ones and broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.verdict.names import demangle, families, family

LONG = "_Z3fooI" + "N1a1bE" * 400 + "EvT_"


@pytest.mark.parametrize(
    ("mangled", "spelling", "folded"),
    [
        ("_Z5plainPi", "plain(int*)", "plain"),
        ("_Z3addIiEvPT_S0_", "void add<int>(int*, int)", "add<…>"),
        ("plain_c_name", "plain_c_name", "plain_c_name"),
        ("_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo()", "(anonymous namespace)::foo"),
        (
            "_ZN7cutlass13device_kernelINS_4gemm6kernel4GemmIiLi3EEEEEvNT_6ParamsE",
            None,
            "cutlass::device_kernel<cutlass::gemm::kernel::Gemm<…>, …>",
        ),
        ("_ZN1aIiE1bIfEEvT_", None, "a<…>::b<…>"),
        (
            "_Z1kIiLi8EENSt9enable_ifIXgtT0_Li0EEvE4typeEPT_",
            "std::enable_if<((8)>(0)), void>::type k<int, 8>(int*)",
            "k<…>",
        ),
    ],
)
def test_names(mangled: str, spelling: str | None, folded: str) -> None:
    if spelling is not None:
        assert demangle(mangled) == spelling
    assert family(mangled) == folded


def test_names_longer_than_libstdcxx_reads_are_demangled_too() -> None:
    assert len(LONG) > 2048
    assert demangle(LONG).startswith("void foo<a::b")
    assert family(LONG) == "foo<…>"


def test_a_name_that_no_demangler_reads_keeps_its_identifiers() -> None:
    name = "_ZN6legacy5sm1009core_attn10fwd_kernelINS3_6KernelIXtlNS3_6ConfigEL17SparseAttnFwdEEE"
    assert demangle(name) == name
    assert family(name) == "legacy::sm100::core_attn::fwd_kernel<…>"


def test_families_are_counted_the_largest_first() -> None:
    found = families(["_Z3addIiEvPT_S0_", "_Z5plainPi", "_Z3addIfEvPT_S0_"])
    assert [(one.name, one.count) for one in found] == [("add<…>", 2), ("plain", 1)]


@given(st.text(max_size=200) | st.text(alphabet="_ZNIELS0123456789abTX", max_size=300))
def test_no_name_raises(name: str) -> None:
    assert demangle(name) is not None
    assert family("_Z" + name) is not None
    assert family(name) is not None
