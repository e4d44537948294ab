"""What the audit of a build says of connectors: each library answers for itself."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.policy.files import load_policy
from smforge.verdict.audit import audit_together
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "docker" / "connectors" / "policy.toml"
KERNEL = "__global__ void move(float *x) { x[threadIdx.x] += 1.0f; }\n"

Compile = Callable[..., Path]
Published = Callable[[str, str], Path]


def judged(wheels: Sequence[Path], words: str, policy: Path | None = None) -> Verdict:
    excuses = load_policy(policy).kernels if policy else ()
    terms = AuditRequest(requirements=parse_requirements([words]), excuses=tuple(excuses))
    return audit_together([str(wheel) for wheel in wheels], "connectors", terms)


def wheel_of(library: Path, name: str, folder: Path) -> Path:
    wheel = folder / f"{name}-1.0-cp313-cp313-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(library, f"{name}/ops.so")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\nVersion: 1.0\n")
    return wheel


@pytest.fixture(scope="module")
def wheels(
    compile_with: Compile, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[Path]]:
    """``wheels(whole=FLAGS, short=FLAGS)`` compiles a library per name, each in its wheel."""

    def make(**flags: tuple[str, ...]) -> list[Path]:
        folder = tmp_path_factory.mktemp("wheels")
        shared = ("-shared", "-Xcompiler", "-fPIC")
        return [
            wheel_of(compile_with(KERNEL, f"{name}.so", *shared, *given), name, folder)
            for name, given in flags.items()
        ]

    return make


@pytest.mark.toolchain
def test_a_device_that_one_connector_lacks_is_not_hidden_by_another_that_has_it(
    wheels: Callable[..., list[Path]],
) -> None:
    made = wheels(
        whole=("-gencode=arch=compute_120,code=sm_120", "-gencode=arch=compute_90,code=sm_90"),
        short=("-gencode=arch=compute_90,code=sm_90",),
    )
    (finding,) = judged(made, "12.0").findings
    assert finding.rule == "device-missing"
    assert finding.level == "error"
    assert "short/ops.so" in str(finding)
    assert "whole/ops.so" not in str(finding)
    assert not judged(made, "9.0").findings


@pytest.mark.toolchain
def test_a_connector_that_has_ptx_alone_for_a_device_is_a_warning(
    wheels: Callable[..., list[Path]],
) -> None:
    made = wheels(
        whole=("-gencode=arch=compute_120,code=sm_120",),
        ptx=("-gencode=arch=compute_90,code=sm_90", "-gencode=arch=compute_90,code=compute_90"),
    )
    (finding,) = judged(made, "12.0").findings
    assert (finding.rule, finding.level) == ("device-ptx-only", "warning")
    assert "ptx/ops.so" in str(finding)


@pytest.mark.network
@pytest.mark.slow
def test_what_docs_connectors_says_of_the_published_wheels(published: Published) -> None:
    together = [published("nixl", "13"), published("mooncake", "13")]
    every = judged(together, "9.0 10.0 10.3 11.0 12.0 12.1").findings
    # These wheels are for x86_64: Thor and Spark take others (host-differs).
    findings = [one for one in every if one.level != "note"]
    assert {(one.rule, str(one.device)) for one in findings} == {
        ("device-missing", "11.0"),
        *(("device-ptx-only", device) for device in ("10.0", "11.0", "12.0", "12.1")),
    }
    assert {one.level for one in findings if str(one.device) != "11.0"} == {"warning"}


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(("variant", "major"), [("cu130", "13"), ("cu129", "12")])
def test_the_policy_is_what_the_fat_variants_need_and_no_more(
    published: Published, variant: str, major: str
) -> None:
    wheels = [published("nixl", major), published("mooncake", major)]
    examples = json.loads((ROOT / "docs" / "examples" / "cu129.json").read_text())
    variants = json.loads((ROOT / "versions.json").read_text())["variants"] | examples
    assert "docker/connectors/policy.toml" in variants[variant]["policies"]
    words = " ".join(variants[variant]["require"]["linux/amd64"])
    missing = {one.rule for one in judged(wheels, words).findings if one.level == "error"}
    assert missing == {"device-missing"}
    excused = judged(wheels, words, POLICY)
    assert "error" not in {one.level for one in excused.findings}
