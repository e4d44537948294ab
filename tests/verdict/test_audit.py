"""The whole way from an argument to a verdict, on real libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.errors import UsageError
from smforge.findings import Outcome
from smforge.inventory.options import ReadOptions
from smforge.verdict.audit import audit, audit_together
from smforge.verdict.reading import Backend
from smforge.verdict.records import DeviceOutcome
from smforge.verdict.request import AuditRequest

SOURCE = 'extern "C" __global__ void twice(float* a) { a[threadIdx.x] *= 2; }'
SHARED = ("-shared", "-Xcompiler", "-fPIC")
OPTIONS = ReadOptions(workers=1)
pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="module")
def per_device(
    compile_with: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Two folders as one wheel per architecture has them: for 11.0 and for 12.0 and 12.1."""
    folders = []
    for target in ("110a", "120f"):
        folder = tmp_path_factory.mktemp(f"sm{target}")
        flags = ("-gencode", f"arch=compute_{target},code=sm_{target}")
        compile_with(SOURCE, "twice.so", *SHARED, *flags).rename(folder / "twice.so")
        folders.append(str(folder))
    return folders


def terms(*words: str) -> AuditRequest:
    return AuditRequest(parse_requirements(words))


@pytest.mark.parametrize("backend", Backend)
def test_providers_are_judged_together(per_device: list[str], backend: Backend) -> None:
    alone = audit(per_device[0], terms("11.0 12.1"), backend, OPTIONS)
    assert alone.outcome is Outcome.FAIL
    together = audit_together(per_device, "demo", terms("11.0 12.1"), backend, OPTIONS)
    assert together.outcome is Outcome.PASS
    assert {one.outcome for one in together.devices} == {DeviceOutcome.NATIVE}
    inventory = together.view.reading.inventory
    assert [file.path.rpartition("/")[2] for file in inventory.files] == ["twice.so", "twice.so"]
    assert len({file.path for file in inventory.files}) == 2
    assert (inventory.subject.digest or "").startswith("sha256:")
    if backend is Backend.BOTH:
        assert together.view.reading.comparison is not None
        assert together.view.reading.comparison.files == 2
        assert together.view.reading.comparison.differences == ()


def test_nothing_together_is_refused() -> None:
    with pytest.raises(UsageError):
        audit_together([], "demo", terms("11.0"))


def test_cuobjdump_alone_says_what_it_does_not_know(per_device: list[str]) -> None:
    found = audit(per_device[0], terms("11.0"), Backend.CUOBJDUMP, OPTIONS)
    assert found.view.reading.cuobjdump_version is not None
    assert [one.rule for one in found.findings] == ["regions-unknown"]
    assert found.outcome is Outcome.PASS
