"""The assembler that Triton runs on a device decides, not the newest one in the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.arch.triton import TritonRules, triton_release
from smforge.findings import Finding, Level
from smforge.inventory.jit_tools.records import Assembler, HostFiles, Source, TritonInstall
from smforge.inventory.records import (
    FileInventory,
    ImageConfiguration,
    Inventory,
    Subject,
    SubjectKind,
)
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

PACKAGE = "usr/lib/python3/dist-packages/triton"
BIN = f"{PACKAGE}/backends/nvidia/bin"
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
        release: str = "",
        rules: TritonRules | None = None,
        **environment: str,
    ) -> list[Finding]:
        configuration = ImageConfiguration("sha256:0", tuple(environment.items()))
        subject = Subject(SubjectKind.IMAGE, "image", None, "linux/amd64", configuration)
        code = ("sm_100", ("k",)), ("sm_110", ("k",)), ("sm_120", ("k",)), ("sm_90", ("k",))
        tritons = (TritonInstall(PACKAGE, release, rules),) if release or rules else ()
        inventory = Inventory(subject, (make_file("a.so", code),), 1)
        verdict = judge(
            Reading(inventory, host_files=HostFiles(assemblers, links=links, tritons=tritons)),
            AuditRequest(parse_requirements([require])),
        )
        return [one for one in verdict.findings if one.rule.startswith("jit-assembler-")]

    return look


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


PLAIN = "sm_90a", "sm_100", "sm_100a", "sm_120", "sm_120a"
CUDA_13 = "usr/local/cuda-13.0/bin/ptxas"


class TestReleasesOfCuda:
    """Each Triton can use the assemblers of some CUDA releases alone."""

    def test_the_one_that_a_variable_names_is_refused(
        self, found: Callable[..., list[Finding]]
    ) -> None:
        """Triton 3.4.0 raises on CUDA 13: what was once proposed as the remedy is no pass."""
        own, newer = assembler(f"{BIN}/ptxas", OLD), assembler(CUDA_13, NEWEST, "13.0")
        (finding,) = found(
            own, newer, require="12.1", release="3.4.0", TRITON_PTXAS_PATH=f"/{CUDA_13}"
        )
        assert finding.rule == "jit-assembler-refused"
        assert finding.level is Level.ERROR
        assert "Triton 3.4.0 refuses assemblers of CUDA 13.0" in finding.message
        assert (
            finding.remedy
            == "Set TRITON_PTXAS_PATH to the ptxas of CUDA 12.9, which knows sm_121a."
        )

    def test_a_refused_assembler_is_no_remedy(self, found: Callable[..., list[Finding]]) -> None:
        own, newer = assembler(f"{BIN}/ptxas", OLD), assembler(CUDA_13, NEWEST, "13.0")
        (finding,) = found(own, newer, require="12.1", release="3.4.0")
        assert finding.rule == "jit-assembler-too-old"
        assert CUDA_13 not in (finding.remedy or "")
        (finding,) = found(own, newer, require="12.1", release="3.5.0")
        assert finding.remedy == f"Set TRITON_PTXAS_PATH=/{CUDA_13}, which knows sm_121a."

    def test_where_no_assembler_will_do_another_triton_is_the_remedy(
        self, found: Callable[..., list[Finding]]
    ) -> None:
        (finding,) = found(assembler(f"{BIN}/ptxas", OLD), require="11.0", release="3.4.0")
        assert "Use Triton 3.5.0 or newer, with the ptxas of CUDA 13.0" in (finding.remedy or "")

    def test_320_takes_nothing_newer_than_126(self, found: Callable[..., list[Finding]]) -> None:
        own = assembler(f"{BIN}/ptxas", ("sm_90a",), "12.4")
        newer = assembler("opt/ptxas", PLAIN, "12.8")
        assert found(own, require="9.0", release="3.2.0") == []
        (finding,) = found(own, newer, require="12.0", release="3.2.0")
        assert (finding.rule, str(finding.target)) == ("jit-assembler-too-old", "12.0")
        assert "Use Triton 3.3.0 or newer" in (finding.remedy or "")
        named = {"TRITON_PTXAS_PATH": "/opt/ptxas"}
        (finding,) = found(own, newer, require="12.0", release="3.2.0", **named)
        assert finding.rule == "jit-assembler-refused"

    def test_ptx_that_is_too_new_for_the_assembler(
        self, found: Callable[..., list[Finding]]
    ) -> None:
        """Triton 3.1.0 counts 8.8 for CUDA 12.8, whose ptxas reads 8.7 at most."""
        (finding,) = found(
            assembler(f"{BIN}/ptxas", ("sm_90a",), "12.8"), require="9.0", release="3.1.0"
        )
        assert finding.rule == "jit-assembler-refused"
        assert "writes PTX 8.8 for an assembler of CUDA 12.8" in finding.message

    def test_390_sends_hopper_to_the_other_assembler(
        self, found: Callable[..., list[Finding]]
    ) -> None:
        pair = (
            assembler(f"{BIN}/ptxas", ("sm_80",), "12.9"),
            assembler(f"{BIN}/ptxas-blackwell", NEWEST, "13.4"),
        )
        assert found(*pair, require="9.0 12.1", release="3.9.0") == []
        (finding,) = found(*pair, require="9.0", release="3.8.0")
        assert finding.file == f"{BIN}/ptxas"

    def test_its_own_source_counts_more_than_the_table(
        self, found: Callable[..., list[Finding]]
    ) -> None:
        table = triton_release("3.4.0")
        assert table is not None
        patched = replace(table, ptx_isa={**table.ptx_isa, "13.0": "9.0"})
        own = assembler(f"{BIN}/ptxas", NEWEST, "13.0")
        assert found(own, require="12.1", release="3.4.0", rules=patched) == []
        (finding,) = found(own, require="12.1", release="3.4.0")
        assert finding.rule == "jit-assembler-refused"

    def test_a_triton_that_nobody_knows_is_named(self, found: Callable[..., list[Finding]]) -> None:
        pair = assembler(f"{BIN}/ptxas", NEW), assembler(f"{BIN}/ptxas-blackwell", NEWEST)
        (finding,) = found(*pair, require="12.1", release="99.0.0")
        assert (finding.rule, finding.level) == ("jit-assembler-unread", Level.WARNING)
        assert "judged as Triton 3.9.0" in finding.message

    def test_one_of_no_known_release_is_doubt(self, found: Callable[..., list[Finding]]) -> None:
        nameless = replace(assembler(f"{BIN}/ptxas", NEW), release=None)
        (finding,) = found(nameless, require="12.1", release="3.4.0")
        assert (finding.rule, finding.level) == ("jit-assembler-unread", Level.ERROR)
        assert "which CUDA release it is of could not be read" in finding.message

    def test_one_without_any_assembler_is_doubt(self, found: Callable[..., list[Finding]]) -> None:
        (finding,) = found(require="12.1", release="3.5.0")
        assert (finding.rule, finding.level) == ("jit-assembler-unread", Level.ERROR)
