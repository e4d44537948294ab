"""The coverage rule: its laws for any target and device, and the cases that people get wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.coverage import cubin_runs_on, family, ptx_assembles_for
from smforge.arch.devices import devices
from smforge.arch.picking import cubins_in_question
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit, toolkits

TABLED = [one.capability for one in devices()]
capabilities = st.one_of(
    st.sampled_from(TABLED),
    st.builds(ComputeCapability, st.integers(1, 15), st.integers(0, 9)),
)
compiled = st.builds(
    Target,
    capabilities,
    st.sampled_from([Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC]),
)
any_target = st.builds(Target, capabilities, st.sampled_from(Suffix))


def cubin(target: str, device: str) -> bool:
    return cubin_runs_on(Target.parse(target), ComputeCapability.parse(device))


def ptx(target: str, device: str) -> bool:
    return ptx_assembles_for(Target.parse(target), ComputeCapability.parse(device))


@given(any_target)
def test_a_cubin_runs_on_its_own_capability(target: Target) -> None:
    assert cubin_runs_on(target, target.capability)


@given(any_target, capabilities)
def test_a_cubin_runs_on_nothing_of_another_major_nor_older(
    target: Target, device: ComputeCapability
) -> None:
    if cubin_runs_on(target, device):
        assert device.major == target.capability.major
        assert device.minor >= target.capability.minor


@given(capabilities, st.sampled_from([Suffix.ARCH_SPECIFIC, Suffix.UNKNOWN]), capabilities)
def test_specific_and_unknown_cubins_run_on_their_capability_only(
    capability: ComputeCapability, suffix: Suffix, device: ComputeCapability
) -> None:
    assert cubin_runs_on(Target(capability, suffix), device) is (device == capability)


@given(capabilities, capabilities)
def test_an_unknown_suffix_claims_what_every_suffix_would(
    capability: ComputeCapability, device: ComputeCapability
) -> None:
    known = [Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC]
    assert cubin_runs_on(Target(capability, Suffix.UNKNOWN), device) is all(
        cubin_runs_on(Target(capability, suffix), device) for suffix in known
    )


@given(capabilities, capabilities)
def test_a_family_cubin_runs_within_its_family_only(
    capability: ComputeCapability, device: ComputeCapability
) -> None:
    target = Target(capability, Suffix.FAMILY_SPECIFIC)
    assert cubin_runs_on(target, device) is (device in family(target))


@given(capabilities, capabilities, capabilities)
def test_plain_cubins_are_monotone_on_exchangeable_devices(
    built: ComputeCapability, device: ComputeCapability, newer: ComputeCapability
) -> None:
    """What runs on a device runs on every later one that exchanges cubins with it."""
    target = Target(built)
    if cubin_runs_on(target, device) and cubin_runs_on(Target(device), newer):
        assert cubin_runs_on(target, newer)


@given(capabilities, capabilities, capabilities)
def test_an_earlier_plain_cubin_covers_no_less(
    earlier: ComputeCapability, later: ComputeCapability, device: ComputeCapability
) -> None:
    if cubin_runs_on(Target(earlier), later) and cubin_runs_on(Target(later), device):
        assert cubin_runs_on(Target(earlier), device)


@given(capabilities, capabilities)
def test_plain_ptx_is_upward_closed(built: ComputeCapability, device: ComputeCapability) -> None:
    assert ptx_assembles_for(Target(built), device) is (device >= built)


@given(compiled, capabilities)
def test_ptx_of_a_target_serves_at_least_the_devices_of_its_cubin(
    target: Target, device: ComputeCapability
) -> None:
    if cubin_runs_on(target, device):
        assert ptx_assembles_for(target, device)


@given(capabilities, capabilities)
def test_each_suffix_narrows(capability: ComputeCapability, device: ComputeCapability) -> None:
    plain, family_specific, arch_specific = (
        ptx_assembles_for(Target(capability, suffix), device)
        for suffix in (Suffix.PLAIN, Suffix.FAMILY_SPECIFIC, Suffix.ARCH_SPECIFIC)
    )
    assert arch_specific <= family_specific <= plain


@pytest.mark.parametrize("toolkit", toolkits(), ids=str)
def test_every_device_a_target_covers_is_in_the_table(toolkit: Toolkit) -> None:
    for target in toolkit.targets:
        assert family(target) <= set(TABLED)


@pytest.mark.parametrize(
    ("target", "runs_on", "not_on"),
    [
        ("8.0", "8.0 8.6 8.9", "7.5 8.7 8.8 9.0"),
        ("8.6", "8.6 8.9", "8.0 8.7"),
        ("8.7", "8.7", "8.6 8.8 8.9"),
        ("9.0", "9.0", "8.9 10.0"),
        ("9.0a", "9.0", "10.0"),
        ("10.0", "10.0 10.3 10.7", "10.1 11.0 12.0"),
        ("10.0a", "10.0", "10.3"),
        ("10.0f", "10.0 10.3 10.7", "10.1 11.0 12.0"),
        ("10.3f", "10.3 10.7", "10.0"),
        ("10.1", "10.1", "10.3 11.0"),
        ("10.1a", "10.1", "11.0"),
        ("10.1f", "10.1", "10.3 11.0"),
        ("11.0", "11.0", "10.1 12.0"),
        ("11.0f", "11.0", "10.1 12.0"),
        ("12.0", "12.0 12.1", "11.0"),
        ("12.0a", "12.0", "12.1"),
        ("12.0f", "12.0 12.1", "11.0"),
        ("12.1a", "12.1", "12.0"),
        ("12.1f", "12.1", "12.0"),
    ],
)
def test_cubins_by_name(target: str, runs_on: str, not_on: str) -> None:
    assert [one for one in runs_on.split() if not cubin(target, one)] == []
    assert [one for one in not_on.split() if cubin(target, one)] == []


@pytest.mark.parametrize(
    ("target", "assembles_for", "not_for"),
    [
        ("8.0", "8.0 8.7 9.0 11.0 12.1", "7.5"),
        ("9.0a", "9.0", "10.0 12.0"),
        ("10.0f", "10.0 10.3 10.7", "10.1 11.0 12.0"),
        ("12.0f", "12.0 12.1", "11.0"),
        ("12.1a", "12.1", "12.0"),
        # sm_101 is the former name of sm_110, and assemblers from 13.0 on read it so.
        ("10.1a", "10.1 11.0", "10.0 10.3 12.0"),
        ("10.1f", "10.1 11.0", "10.0 10.3 12.0"),
        ("11.0f", "11.0", "10.1 12.0"),
    ],
)
def test_ptx_by_name(target: str, assembles_for: str, not_for: str) -> None:
    assert [one for one in assembles_for.split() if not ptx(target, one)] == []
    assert [one for one in not_for.split() if ptx(target, one)] == []


@pytest.mark.parametrize(
    ("embedded", "device", "in_question"),
    [
        ("8.0 8.6 8.9", "8.9", "8.9"),
        ("8.0 8.6", "8.9", "8.0 8.6"),
        ("9.0 9.0a", "9.0", "9.0 9.0a"),
        ("12.0f 12.1a", "12.1", "12.1a"),
        ("12.0f 12.1a", "12.0", "12.0f"),
        ("9.0a 10.0", "12.0", ""),
    ],
)
def test_the_cubins_of_which_the_driver_picks_one(
    embedded: str, device: str, in_question: str
) -> None:
    def targets(text: str) -> frozenset[Target]:
        return frozenset(map(Target.parse, text.split()))

    found = cubins_in_question(targets(embedded), ComputeCapability.parse(device))
    assert found == targets(in_question)


@given(targets=st.frozensets(any_target, max_size=5), device=capabilities)
def test_one_of_the_cubins_that_run_is_picked(
    targets: frozenset[Target], device: ComputeCapability
) -> None:
    running = {target for target in targets if cubin_runs_on(target, device)}
    found = cubins_in_question(targets, device)
    assert found <= running
    assert bool(found) is bool(running)
    own = {target for target in running if target.capability == device}
    assert not own or found == own
