"""What an exception covers, for whom, and until when."""

from __future__ import annotations

from datetime import date

import pytest

from builder.arch.target import ComputeCapability
from builder.verdict.exemptions import Exemption

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
        ({"file": "_C*"}, False),
        ({"kernel": "*Marlin*", "file": "other/*"}, False),
        ({"kernel": "*Marlin*", "file": "vllm/*"}, True),
        ({"anything": "vllm/*"}, True),
        ({"anything": "*Marlin*"}, True),
        ({"anything": "nothing"}, False),
    ],
)
def test_patterns(fields: dict[str, str], covers: bool) -> None:
    exemption = Exemption("made for the test", "test", **fields)
    assert exemption.covers(KERNEL, PATH) is covers


def test_days_and_devices() -> None:
    thor, spark = ComputeCapability(11, 0), ComputeCapability(12, 1)
    exemption = Exemption("r", "p", kernel="*", devices=(thor,), expires=date(2027, 1, 31))
    assert exemption.holds(thor, date(2027, 1, 31))
    assert not exemption.holds(thor, date(2027, 2, 1))
    assert not exemption.holds(spark, date(2027, 1, 1))
