"""Losses of sources that are accepted: the shipped ones hold where they say."""

from __future__ import annotations

from datetime import date

import pytest

from smforge.arch.target import ComputeCapability
from smforge.policy.excuses import Excuse, allowed_on_command_line, reason_for
from smforge.policy.files import shipped_for_sources, shipped_policies
from smforge.preflight.sources.tree import Project

SPARK, RTX = ComputeCapability(12, 1), ComputeCapability(12, 0)
SHIPPED = [(one.name, excuse) for one in shipped_policies() for excuse in one.sources]


@pytest.mark.parametrize(("project", "excuse"), SHIPPED, ids=lambda one: str(one)[:40])
def test_each_has_a_project_a_reference_and_devices(project: str, excuse: Excuse) -> None:
    assert Project(project) is not None
    assert excuse.reference
    assert excuse.devices
    assert excuse.kernel is None
    assert excuse.file is None


def test_flashinfer_has_some_and_an_unknown_project_has_none() -> None:
    assert len(shipped_for_sources("flashinfer")) == len(SHIPPED) > 0
    assert shipped_for_sources("none") == ()


@pytest.mark.parametrize(
    ("module", "device", "allowed"),
    [
        ("fp4_quantization_121", SPARK, True),
        ("fp4_quantization_120f", SPARK, False),
        ("cudnn_frost_bf16_moe_v2_sm_120a", SPARK, True),
        ("cudnn_frost_bf16_moe_v2_sm_120a", RTX, False),
        ("fused_moe_100", ComputeCapability(10, 3), True),
        ("fused_moe_100", ComputeCapability(10, 0), False),
        ("fused_moe_103", ComputeCapability(10, 3), False),
    ],
)
def test_what_flashinfer_may_lose(module: str, device: ComputeCapability, allowed: bool) -> None:
    reason = reason_for(shipped_for_sources("flashinfer"), module, "csrc/x.cu", device)
    assert (reason is not None) is allowed


def test_an_excuse_holds_for_its_devices_until_its_last_day() -> None:
    def reason(devices: tuple[ComputeCapability, ...] = (), expires: date | None = None) -> bool:
        excuse = Excuse("why", "p", source="_C/csrc/*", devices=devices, expires=expires)
        return reason_for([excuse], "_C", "csrc/a.cu", SPARK) == "why"

    assert reason()
    assert reason(devices=(SPARK, RTX))
    assert not reason(devices=(RTX,))
    assert reason(expires=date.max)
    assert not reason(expires=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("excuse", "covers"),
    [
        (Excuse("why", "p", source="csrc/a.cu"), True),
        (Excuse("why", "p", source="a.cu"), False),
        (allowed_on_command_line("csrc/*"), True),
        (Excuse("why", "p", kernel="*"), False),
        (Excuse("why", "p", file="*"), False),
    ],
)
def test_patterns_of_sources(excuse: Excuse, covers: bool) -> None:
    assert excuse.covers_source("_C", "csrc/a.cu") is covers


def test_a_source_excuses_no_kernel() -> None:
    assert not Excuse("why", "p", source="*").covers("kernel", "a.so", str)
    assert not Excuse("why", "p", source="*").for_kernels
