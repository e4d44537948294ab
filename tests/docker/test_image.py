"""What an image is made from: its locks, what they leave out, and the check that they hold."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.matrix.load import load
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "docker" / "image"
LOCKS = IMAGE / "requirements"
EXCEPTIONS = json.loads((IMAGE / "exceptions.json").read_text())["exceptions"]
BUILT_HERE = re.compile(r"vllm|lmcache|nixl-cu\d\d|mooncake-transfer-engine(-cuda\d\d)?")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;]+)", re.MULTILINE)


@pytest.fixture(scope="session")
def check(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("image/check_environment")


def project(tag: str) -> dict[str, Any]:
    return tomllib.loads((LOCKS / tag / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, str]:
    return {match["name"]: match["version"] for match in PIN.finditer(lock.read_text())}


TAGS = sorted(path.name for path in LOCKS.iterdir())


def test_every_image_from_packages_has_its_locks() -> None:
    for cell in resolve(load(ROOT / "versions.json")).cells:
        if cell.image is None or cell.base.kind != "packages":
            continue
        for component in cell.variables["IMAGE_COMPONENTS"].split(" "):
            assert (LOCKS / cell.toolkit.tag / f"{component}.txt").is_file(), cell.name


@pytest.mark.parametrize("tag", TAGS)
class TestLocks:
    def test_the_versions_are_those_of_the_matrix(self, tag: str) -> None:
        document = load(ROOT / "versions.json").document
        toolkit = next(
            one for one in document.toolkits.values() if tag == f"cu{one.cuda.replace('.', '')[:3]}"
        )
        major = tag.removeprefix("cu")[:2]
        for component, requirements in project(tag)["dependency-groups"].items():
            source = getattr(document.sources, component)
            source = source[major] if isinstance(source, dict) else source
            wanted = {f"{source.distribution}=={source.version}", f"torch=={toolkit.torch}"}
            assert f"{source.distribution}=={source.version}" in requirements
            assert set(requirements) <= wanted

    def test_they_agree_with_each_other(self, tag: str) -> None:
        found: dict[str, str] = {}
        for lock in sorted((LOCKS / tag).glob("*.txt")):
            for name, version in pins(lock).items():
                assert found.setdefault(name, version) == version, f"{name} in {lock.name}"
        assert found["torch"]

    def test_every_file_is_named_by_its_digest(self, tag: str) -> None:
        for lock in (LOCKS / tag).glob("*.txt"):
            for entry in lock.read_text().replace("\\\n", " ").splitlines():
                assert "--hash=sha256:" in entry, entry

    def test_nothing_that_is_built_here_is_fetched(self, tag: str) -> None:
        for lock in (LOCKS / tag).glob("*.txt"):
            assert not [name for name in pins(lock) if BUILT_HERE.fullmatch(name)]
            # Kernels of FlashInfer come from this build's providers and from nowhere else.
            assert not [name for name in pins(lock) if name.startswith("flashinfer-jit-cache")]
            assert "flashinfer-cubin" not in pins(lock)

    def test_nothing_is_for_another_cuda(self, tag: str, check: ModuleType) -> None:
        for lock in (LOCKS / tag).glob("*.txt"):
            assert check.other_cuda(pins(lock), tag.removeprefix("cu")[:2]) == []

    def test_what_is_left_out_is_an_exception_with_a_reason(self, tag: str) -> None:
        settings = project(tag)["tool"]["uv"]
        by_state = {
            state: {row["requirement"] for row in EXCEPTIONS if row["state"] == state}
            for state in ("absent", "other version")
        }
        assert set(settings["exclude-dependencies"]) == by_state["absent"]
        assert set(settings["override-dependencies"]) == by_state["other version"]
        for lock in (LOCKS / tag).glob("*.txt"):
            assert not by_state["absent"] & set(pins(lock))


def test_every_exception_says_why() -> None:
    assert len({row["requirement"] for row in EXCEPTIONS}) == len(EXCEPTIONS)
    for row in EXCEPTIONS:
        assert set(row) == {"requirement", "state", "reason"}
        assert len(row["reason"]) > 40
        assert row["reason"].endswith(".")


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Distribution]:
    """Makes an installed distribution: its name, version and requirements."""

    def make(name: str, version: str, *requires: str) -> Distribution:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        return Distribution.at(folder)

    return make


Install = Callable[..., Distribution]


def broken(check: ModuleType, *installed: Distribution) -> list[tuple[str, str, str]]:
    found = check.broken_requirements(installed)
    return [(one.distribution, one.name, one.state) for one in found]


def test_what_is_there_in_a_fitting_version_is_fine(check: ModuleType, install: Install) -> None:
    user = install("User_Package", "1", "some.thing>=2,<3")
    assert broken(check, user, install("Some-Thing", "2.9rc1+local")) == []


def test_what_is_absent_or_too_old_is_told_apart(check: ModuleType, install: Install) -> None:
    user = install("user", "1", "there>=2", "gone")
    assert broken(check, user, install("there", "1.9")) == [
        ("user", "there", "other version"),
        ("user", "gone", "absent"),
    ]


def test_markers_and_extras_decide_what_is_required(check: ModuleType, install: Install) -> None:
    user = install("user", "1", "helper[fast]")
    helper = install(
        "helper",
        "1",
        'windows-only; sys_platform == "win32"',
        'quick; extra == "fast"',
        'unasked; extra == "slow"',
    )
    assert broken(check, user, helper) == [("helper", "quick", "absent")]


@pytest.mark.parametrize(
    ("name", "major"),
    [
        ("nvidia-nccl-cu13", "13"),
        ("nvidia-cutlass-dsl-libs-cu12", "12"),
        ("cupy-cuda13x", "13"),
        ("cupy-cuda12x", "12"),
        ("mooncake_transfer_engine_cuda13", "13"),
        ("nixl.cu12", "12"),
        ("flashinfer-jit-cache-cu130", "13"),
    ],
)
def test_names_that_say_a_cuda(check: ModuleType, name: str, major: str) -> None:
    assert check.other_cuda([name], major) == []
    other = {"12": "13", "13": "12"}[major]
    assert check.other_cuda([name], other) == [name]


@given(name=st.from_regex(r"[a-z]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True))
def test_names_that_say_none(check: ModuleType, name: str) -> None:
    if "cu" not in name:
        assert check.other_cuda([name], "13") == []


def test_a_broken_requirement_without_a_reason_fails(
    check: ModuleType,
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed = [install("user", "1", "gone", "old>=2"), install("old", "1")]
    monkeypatch.setattr(check, "distributions", lambda: installed)
    rows = [{"requirement": "gone", "state": "absent", "reason": "Nobody calls it."}]
    exceptions = tmp_path / "exceptions.json"
    exceptions.write_text(json.dumps({"exceptions": rows}))
    assert check.main("cu130", exceptions) == 1
    said = capsys.readouterr().out
    assert "user requires gone: absent. Let pass: Nobody calls it." in said
    assert "user requires old>=2: other version. This is not among the exceptions." in said
    rows.append({"requirement": "old", "state": "other version", "reason": "It works with 1."})
    exceptions.write_text(json.dumps({"exceptions": rows}))
    assert check.main("cu130", exceptions) == 0


def test_a_distribution_for_another_cuda_fails(
    check: ModuleType,
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(check, "distributions", lambda: [install("nixl-cu12", "1.5.1")])
    exceptions = tmp_path / "exceptions.json"
    exceptions.write_text('{"exceptions": []}')
    assert check.main("cu130", exceptions) == 1
    assert "nixl-cu12 is made for another CUDA than 13" in capsys.readouterr().out
