"""The toolkit table as code sees it, and what is said of unknown targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.devices import Status, current_devices, device, devices
from smforge.arch.drivers import DriverVersion
from smforge.arch.grammar import flashinfer_list
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit, explain_unknown, toolkit, toolkits
from smforge.errors import ArchitectureError

all_toolkits = st.sampled_from(toolkits())
targets = st.builds(
    Target,
    st.one_of(
        st.sampled_from([one.capability for one in devices()]),
        st.builds(ComputeCapability, st.integers(1, 15), st.integers(0, 9)),
    ),
    st.sampled_from([Suffix.PLAIN, Suffix.ARCH_SPECIFIC, Suffix.FAMILY_SPECIFIC]),
)


def test_the_releases_promised_are_there() -> None:
    assert [one.version for one in toolkits()] == [
        "12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4", "13.5",
    ]  # fmt: skip


def test_updates_share_the_row_of_their_release() -> None:
    assert toolkit("13.0.2") is toolkit("13.0")
    assert toolkit("12.9.1").minimum_driver == DriverVersion.parse("575.51.03")
    assert toolkit("12.9").minor_version_driver == DriverVersion.parse("525.60.13")
    assert toolkit("13.5").minimum_driver is None
    assert toolkit("13.0").supports_gcc(15)
    assert not toolkit("12.9").supports_gcc(15)


@pytest.mark.parametrize("text", ["13", "13.0.0.1", "cu130", "", "12.7", "13.00"])
def test_other_versions_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        toolkit(text)
    assert caught.value.remedy


@given(all_toolkits, targets)
def test_every_unknown_target_is_explained(one: Toolkit, target: Target) -> None:
    if one.knows(target):
        with pytest.raises(ValueError, match="knows"):
            explain_unknown(one, target)
        return
    reason, remedy = explain_unknown(one, target)
    assert reason.endswith(".")
    assert remedy.endswith(".")
    assert str(target) in reason


@given(all_toolkits, targets)
def test_a_remedy_names_a_target_the_toolkit_knows(one: Toolkit, target: Target) -> None:
    if one.knows(target):
        return
    _, remedy = explain_unknown(one, target)
    if remedy.startswith("Write "):
        proposed = remedy.removeprefix("Write ").rstrip(".").split(",")[0].split(" or ")
        assert all(one.knows(Target.parse(word)) for word in proposed)


@given(all_toolkits, targets)
def test_flashinfer_completes_a_known_target_to_a_known_one(one: Toolkit, target: Target) -> None:
    if one.knows(target):
        (effective,) = flashinfer_list.effective_targets([target], one.version, "0.7.2")
        assert one.knows(effective)


@pytest.mark.parametrize(
    ("version", "target", "reason", "remedy"),
    [
        (
            "12.9",
            "11.0",
            "CUDA 12.9 does not know 11.0: "
            "Jetson Thor is sm_101 for CUDA 12.8/12.9 and sm_110 from 13.0.",
            "Use CUDA 13.0 or later, or leave 11.0 out.",
        ),
        (
            "13.0",
            "10.1a",
            "CUDA 13.0 does not know 10.1a: "
            "Jetson Thor is sm_101 for CUDA 12.8/12.9 and sm_110 from 13.0.",
            "Write 11.0a.",
        ),
        (
            "12.8",
            "12.0f",
            "CUDA 12.8 knows 12.0 but not 12.0f.",
            "Write 12.0 or 12.0a, or use CUDA 12.9 or later.",
        ),
        (
            "12.8",
            "10.1f",
            "CUDA 12.8 knows 10.1 but not 10.1f.",
            "Write 10.1 or 10.1a, or use CUDA 12.9.",
        ),
        (
            "12.8",
            "12.1f",
            "CUDA 12.8 does not know 12.1f, which is newer than it.",
            "Use CUDA 12.9 or later, or leave 12.1f out.",
        ),
        (
            "13.0",
            "7.0",
            "CUDA 13.0 does not know 7.0 any more.",
            "Use CUDA 12.9 or earlier, or leave 7.0 out.",
        ),
        ("13.0", "9.0f", "CUDA 13.0 knows 9.0 but not 9.0f.", "Write 9.0 or 9.0a."),
    ],
)
def test_explanations(version: str, target: str, reason: str, remedy: str) -> None:
    assert explain_unknown(toolkit(version), Target.parse(target)) == (reason, remedy)


def test_a_report_lists_the_devices_that_are_sold() -> None:
    assert " ".join(str(one) for one in current_devices()) == (
        "7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.3 11.0 12.0 12.1"
    )


def test_devices_are_found_by_capability() -> None:
    thor = device(ComputeCapability(10, 1))
    assert (thor.status, thor.alias_of) == (Status.ALIAS, ComputeCapability(11, 0))
    assert device(ComputeCapability(8, 7)).tegra
    assert not device(ComputeCapability(12, 1)).tegra
    with pytest.raises(ArchitectureError, match=r"13\.7"):
        device(ComputeCapability(13, 7))
