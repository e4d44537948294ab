"""The assembler that Triton runs on a device decides, not the newest one in the image."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding
from smforge.inventory.jit_tools.records import Assembler, Companions, Source
from smforge.inventory.records import (
    FileInventory,
    ImageConfiguration,
    Inventory,
    Subject,
    SubjectKind,
)
from smforge.verdict.checks.jit import jit_target
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

BIN = "usr/lib/python3/dist-packages/triton/backends/nvidia/bin"
OLD = "sm_90a", "sm_100a", "sm_120a"
NEW = *OLD, "sm_121a"
NEWEST = *NEW, "sm_110a"


def assembler(path: str, targets: tuple[str, ...], release: str = "12.8") -> Assembler:
    return Assembler(path, release, frozenset(map(Target.parse, targets)), Source.READ)


@pytest.fixture
def found(make_file: Callable[..., FileInventory]) -> Callable[..., list[Finding]]:
    """Gives the assembler findings for assemblers, required devices and an environment."""

    def look(
        *assemblers: Assembler,
        require: str,
        links: tuple[tuple[str, str], ...] = (),
        **environment: str,
    ) -> list[Finding]:
        configuration = ImageConfiguration("sha256:0", tuple(environment.items()))
        subject = Subject(SubjectKind.IMAGE, "image", None, "linux/amd64", configuration)
        code = ("sm_100", ("k",)), ("sm_110", ("k",)), ("sm_120", ("k",)), ("sm_90", ("k",))
        inventory = Inventory(subject, (make_file("a.so", code),), 1)
        verdict = judge(
            Reading(inventory, companions=Companions(assemblers, links=links)),
            AuditRequest(parse_requirements([require])),
        )
        return [one for one in verdict.findings if one.rule.startswith("jit-assembler-")]

    return look


@pytest.mark.parametrize(
    ("device", "target"), [("8.9", "sm_89"), ("9.0", "sm_90a"), ("12.1", "sm_121a")]
)
def test_what_triton_asks_for(device: str, target: str) -> None:
    assert jit_target(ComputeCapability.parse(device)).sm == target


def test_one_assembler_that_is_too_old(found: Callable[..., list[Finding]]) -> None:
    (finding,) = found(assembler(f"{BIN}/ptxas", OLD), require="12.1 12.0")
    assert finding.rule == "jit-assembler-too-old"
    assert str(finding.device) == "12.1"
    assert "sm_121a" in finding.message
    assert "TRITON_PTXAS_PATH" in (finding.remedy or "")
    assert "12.9" in (finding.remedy or "")


def test_the_blackwell_assembler_serves_blackwell(found: Callable[..., list[Finding]]) -> None:
    pair = assembler(f"{BIN}/ptxas", OLD), assembler(f"{BIN}/ptxas-blackwell", NEW, "12.9")
    assert found(*pair, require="12.1 9.0") == []
    (finding,) = found(*pair, require="11.0")
    assert "ptxas-blackwell of CUDA 12.9" in finding.message
    assert "TRITON_PTXAS_BLACKWELL_PATH" in (finding.remedy or "")


def test_an_able_assembler_in_the_image_is_named(found: Callable[..., list[Finding]]) -> None:
    able = assembler("usr/local/cuda-13.0/bin/ptxas", NEWEST, "13.0")
    (finding,) = found(assembler(f"{BIN}/ptxas", OLD), able, require="12.1")
    assert "TRITON_PTXAS_PATH=/usr/local/cuda-13.0/bin/ptxas" in (finding.remedy or "")


def test_the_environment_of_the_image_decides(found: Callable[..., list[Finding]]) -> None:
    able = assembler("usr/local/cuda-13.0/bin/ptxas", NEWEST, "13.0")
    old = assembler(f"{BIN}/ptxas", OLD)
    assert found(old, able, require="12.1", TRITON_PTXAS_PATH="/usr/local/cuda/bin/ptxas") == []


def test_an_assembler_that_is_named_and_not_there(found: Callable[..., list[Finding]]) -> None:
    (finding,) = found(
        assembler(f"{BIN}/ptxas", NEW), require="12.1", TRITON_PTXAS_PATH="/opt/ptxas"
    )
    assert finding.rule == "jit-assembler-unread"


def test_an_assembler_that_tells_nothing(found: Callable[..., list[Finding]]) -> None:
    (finding,) = found(assembler(f"{BIN}/ptxas", ()), require="12.1")
    assert finding.rule == "jit-assembler-unread"


def test_the_toolkit_of_the_image(found: Callable[..., list[Finding]]) -> None:
    (finding,) = found(assembler("usr/local/cuda-12.8/bin/ptxas", OLD), require="12.1 12.0")
    assert "CUDA_HOME" in (finding.remedy or "")
    assert found(assembler("usr/local/cuda-12.9/bin/ptxas", NEW), require="12.1") == []


def test_without_a_required_device_assemblers_are_only_described(
    found: Callable[..., list[Finding]],
) -> None:
    assert found(assembler(f"{BIN}/ptxas", OLD), require="") == []


def test_links_of_an_image_decide_between_toolkits(found: Callable[..., list[Finding]]) -> None:
    triton = assembler(f"{BIN}/ptxas", OLD)
    old = assembler("usr/local/cuda-12.8/bin/ptxas", OLD)
    new = assembler("usr/local/cuda-13.0/bin/ptxas", NEWEST, "13.0")
    path = "usr/local/cuda/bin/ptxas"
    for chosen, findings in ((old, {old.path}), (new, set())):
        seen = found(
            triton,
            old,
            new,
            require="12.1",
            links=((path, chosen.path),),
            TRITON_PTXAS_PATH=f"/{path}",
        )
        assert {finding.file for finding in seen} == findings
