"""Losses that are accepted: the shipped ones are written as policies, and hold where they say."""

from __future__ import annotations

from datetime import date

import pytest

from smforge.arch.target import ComputeCapability
from smforge.policy.allowances import FOLDER, Allowance, reason_for, shipped
from smforge.policy.files import load_policy
from smforge.preflight.sources.tree import Project

SPARK, RTX = ComputeCapability(12, 1), ComputeCapability(12, 0)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_each_shipped_policy_is_a_policy_with_reasons_and_references(file: object) -> None:
    policy = load_policy(FOLDER / str(file))
    assert Project(policy.name) is not None
    assert [one.source for one in policy.sources] == [one.pattern for one in shipped(policy.name)]
    assert len(policy.sources) == len(policy.allow)
    assert all(one.reference and one.devices for one in policy.allow)


def test_a_project_without_a_policy_has_no_allowances() -> None:
    assert shipped("none") == ()


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
    reason = reason_for(shipped("flashinfer"), module, "csrc/x.cu", device)
    assert (reason is not None) is allowed


def test_an_allowance_holds_for_its_devices_until_its_last_day() -> None:
    def covers(devices: tuple[ComputeCapability, ...] = (), expires: date | None = None) -> bool:
        return Allowance("_C/csrc/*", "why", devices, expires).covers("_C", "csrc/a.cu", SPARK)

    assert covers()
    assert covers(devices=(SPARK, RTX))
    assert not covers(devices=(RTX,))
    assert covers(expires=date.max)
    assert not covers(expires=date(2026, 1, 1))
    assert Allowance("csrc/a.cu", "why").covers("_C", "csrc/a.cu", SPARK)
    assert not Allowance("a.cu", "why").covers("_C", "csrc/a.cu", SPARK)
