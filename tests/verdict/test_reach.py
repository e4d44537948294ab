"""A driver decides which PTX counts, and an unrecorded suffix decides nothing by itself."""

from __future__ import annotations

import pytest

from smforge.arch.drivers import DriverVersion
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.verdict.kernels import Embedded, Ptx
from smforge.verdict.reach import Reach, reach

DEVICE = ComputeCapability.parse("12.0")


def ptx(isa: str | None) -> Embedded:
    return Embedded(frozenset(), frozenset({Ptx(Target.parse("compute_80"), isa)}))


@pytest.mark.parametrize(
    ("isa", "driver", "expected"),
    [
        ("9.0", None, Reach.PTX),
        ("9.0", "580.65.06", Reach.PTX),
        ("9.0", "570.195.03", Reach.PTX_TOO_NEW),
        ("8.7", "570.195.03", Reach.PTX),
        (None, "570.195.03", Reach.PTX_UNSURE),
        ("99.9", "999.10", Reach.PTX_UNSURE),
        ("not a version", "580.65.06", Reach.PTX_UNSURE),
    ],
)
def test_driver(isa: str | None, driver: str | None, expected: Reach) -> None:
    version = None if driver is None else DriverVersion.parse(driver)
    assert reach(ptx(isa), DEVICE, version) is expected


def test_any_readable_ptx_will_do() -> None:
    both = Embedded(frozenset(), ptx("9.0").ptx | ptx("8.0").ptx)
    assert reach(both, DEVICE, DriverVersion.parse("570.195.03")) is Reach.PTX


@pytest.mark.parametrize(
    ("capability", "device", "expected"),
    [
        ("12.0", "12.0", Reach.NATIVE),
        ("12.0", "12.1", Reach.UNCLEAR),
        ("10.0", "12.0", Reach.UNCLEAR),
    ],
)
def test_a_cubin_that_does_not_say_its_suffix(
    capability: str, device: str, expected: Reach
) -> None:
    target = Target(ComputeCapability.parse(capability), Suffix.UNKNOWN)
    embedded = Embedded(frozenset({target}), frozenset())
    assert reach(embedded, ComputeCapability.parse(device), None) is expected


def test_ptx_beside_it_settles_the_matter() -> None:
    target = Target(ComputeCapability.parse("10.0"), Suffix.UNKNOWN)
    embedded = Embedded(frozenset({target}), ptx("8.0").ptx)
    assert reach(embedded, DEVICE, None) is Reach.PTX


@pytest.mark.parametrize(
    ("held", "beside", "device", "expected"),
    [
        ("10.0", "10.0?", "10.0", Reach.PICK_UNCLEAR),
        ("10.0?", "10.3", "10.3", Reach.UNCLEAR),
        ("12.0", "10.0?", "12.0", Reach.NATIVE),
    ],
)
def test_a_suffix_that_is_not_known_beside_other_code(
    held: str, beside: str, device: str, expected: Reach
) -> None:
    def of(text: str) -> frozenset[Target]:
        suffix = Suffix.UNKNOWN if text.endswith("?") else Suffix.PLAIN
        return frozenset({Target(ComputeCapability.parse(text.rstrip("?")), suffix)})

    embedded = Embedded(of(held), frozenset(), of(beside))
    assert reach(embedded, ComputeCapability.parse(device), None) is expected
