"""What an exception covers, for whom, and until when."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.policy.excuses import Excuse
from smforge.verdict.names import demangle
from smforge.verdict.reach import Reach
from smforge.verdict.views.excused import excuses

KERNEL = "_ZN6marlin6MarlinILi3EEEvPi"
PATH = "vllm/_C.abi3.so"


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        ({"kernel": "*marlin::Marlin<*"}, True),
        ({"kernel": "_ZN6marlin*"}, True),
        ({"kernel": "marlin"}, False),
        ({"kernel": "*MARLIN*"}, False),
        ({"file": "vllm/_C*"}, True),
        ({"file": "_C*"}, True),
        ({"file": "llm/_C*"}, False),
        ({"file": "/_C*"}, False),
        ({"kernel": "*Marlin*", "file": "other/*"}, False),
        ({"kernel": "*Marlin*", "file": "vllm/*"}, True),
        ({"anything": "vllm/*"}, True),
        ({"anything": "*Marlin*"}, True),
        ({"anything": "nothing"}, False),
    ],
)
def test_patterns(fields: dict[str, Any], covers: bool) -> None:
    excuse = Excuse("made for the test", "test", **fields)
    assert excuse.covers(KERNEL, PATH, demangle) is covers


@pytest.mark.parametrize(
    "path",
    [
        "vllm/_C.abi3.so",
        "usr/lib/python3/dist-packages/vllm/_C.abi3.so",
        "vllm-1.0-x86_64.whl/vllm/_C.abi3.so",
    ],
)
def test_a_file_is_meant_wherever_it_is_installed(path: str) -> None:
    excuse = Excuse("r", "p", file="vllm/_C*.so")
    assert excuse.covers(KERNEL, path, demangle)
    assert not excuse.covers(KERNEL, path.replace("vllm/_C", "notvllm/_C"), demangle)
    assert not excuse.covers(KERNEL, path + ".bak", demangle)


def test_days_and_devices() -> None:
    thor, spark = ComputeCapability(11, 0), ComputeCapability(12, 1)
    excuse = Excuse("r", "p", kernel="*", devices=(thor,), expires=date(2027, 1, 31))
    assert excuse.holds(thor, date(2027, 1, 31))
    assert not excuse.holds(thor, date(2027, 2, 1))
    assert not excuse.holds(spark, date(2027, 1, 1))


@pytest.mark.parametrize(
    ("targets", "embedded", "fits"),
    [
        ((), ("7.5", "12.0"), True),
        (("7.5",), ("7.5",), True),
        (("7.0", "7.5"), ("7.5",), True),
        (("7.5",), ("7.5", "8.0"), False),
        (("12.0",), ("12.0f",), False),
    ],
)
def test_code_embedded_for_more_is_not_meant(
    targets: tuple[str, ...], embedded: tuple[str, ...], fits: bool
) -> None:
    excuse = Excuse("r", "p", kernel="*", targets=tuple(Target.parse(t) for t in targets))
    assert excuse.fits(frozenset(Target.parse(t) for t in embedded)) is fits


@pytest.mark.parametrize(
    ("states", "how", "is_excused"),
    [
        (("missing", "ptx"), Reach.MISSING, True),
        (("missing", "ptx"), Reach.PTX, True),
        (("missing",), Reach.MISSING, True),
        (("missing",), Reach.UNCLEAR, True),
        (("missing",), Reach.PTX, False),
        (("missing",), Reach.PTX_UNSURE, False),
        (("missing",), Reach.PTX_TOO_NEW, False),
        (("ptx",), Reach.PTX_TOO_NEW, True),
        (("ptx",), Reach.MISSING, False),
        (("missing", "ptx"), Reach.NATIVE, False),
        (("missing", "ptx"), Reach.FOREIGN, False),
    ],
)
def test_what_it_excuses_of_a_kernel(states: tuple[str, ...], how: Reach, is_excused: bool) -> None:
    assert excuses(Excuse("r", "p", kernel="*", states=states), how) is is_excused


def test_an_unknown_suffix_is_no_plain_target() -> None:
    plain = Target(ComputeCapability(10, 0))
    unknown = Target(ComputeCapability(10, 0), Suffix.UNKNOWN)
    excuse = Excuse("r", "p", kernel="*", targets=(unknown,))
    assert excuse.fits(frozenset({unknown}))
    assert not excuse.fits(frozenset({plain}))
