"""``smforge bump`` on a small vLLM: what is written, what is refused, what a device loses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.matrix.load import load
from smforge.plan.resolve import resolve
from tests.workflow.bumping.conftest import Index, sha256

LINUX = "cp313-cp313-manylinux_2_28_x86_64"
ANY_PYTHON = "cp38-abi3-manylinux_2_28_x86_64"
OLD, NEW = "1" * 40, "2" * 40
SECOND = """
FetchContent_Declare(
  second GIT_REPOSITORY https://example.invalid/second.git GIT_TAG v1
  GIT_SUBMODULES one two GIT_PROGRESS TRUE)
FetchContent_MakeAvailable(second)
"""
MakeTree = Callable[..., Path]
Bumped = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(index: Index, tree: MakeTree, document: dict[str, Any], tmp_path: Path) -> Path:
    """A project with the small vLLM 0.0.1, whose releases 0.0.2 and 0.0.3 the index has."""
    description = "CMakeLists.txt"
    first = index.sdist("vllm", "0.0.1", tree("tree"))
    second = tree("tree", description, **{'CUDA "2.10.0"': 'CUDA "2.11.0"'})
    mla = second / "cmake" / "external_projects" / "mla.cmake"
    mla.write_text(mla.read_text().replace("0123abc", NEW) + SECOND)
    index.sdist("vllm", "0.0.2", second)
    less = {'csrc/common.cu" "${CUDA_ARCHS}"': 'csrc/common.cu" "8.0"'}
    index.sdist("vllm", "0.0.3", tree("tree", description, **less))
    wheels = [index.wheel("vllm", f"0.0.{patch}", ANY_PYTHON) for patch in (1, 2, 3)]
    index.wheel("torch", "2.10.0", LINUX, ("cuda-toolkit[cublas]==13.0.2",))
    index.wheel("torch", "2.11.0", LINUX, ("cuda-toolkit[cublas]==13.0.3",))
    document["default"] = "x"
    document["variants"] = {
        "x": {
            "toolkit": "13.0",
            "base": "packages",
            "require": {"linux/amd64": ["9.0"]},
            "components": {"vllm": {"archs": {"linux/amd64": ["9.0"]}}},
        },
        "wheel": {
            "toolkit": "13.0",
            "base": "packages",
            "require": {"linux/amd64": ["9.0"]},
            "components": {"vllm": {"from": "published"}},
        },
    }
    document["toolkits"]["13.0"]["torch"] = "2.10.0"
    document["torch_builds"]["2.10.0"] = ["cu130"]
    document["sources"]["vllm"] |= {
        "version": "0.0.1",
        "torch": "2.10.0",
        "files": {first.name: sha256(first), wheels[0].name: sha256(wheels[0])},
        "externals": {
            "mla": {
                "kind": "git",
                "url": "https://example.invalid/mla.git",
                "commit": OLD,
                "tag": "0123abc",
            }
        },
        "stand_ins": {},
    }
    del document["variable"]
    root = tmp_path / "project"
    locks = root / "docker" / "image" / "requirements" / "cu130"
    locks.mkdir(parents=True)
    (locks / "pyproject.toml").write_text('vllm = ["torch==2.10.0", "vllm==0.0.1"]\n')
    (locks / "vllm.txt").write_text("torch==2.10.0\n")
    (root / "docker-bake.hcl").write_text("")
    (root / "versions.json").write_text(json.dumps(document, indent=2) + "\n")
    return root


@pytest.fixture
def bumped(project: Path, tmp_path: Path) -> Bumped:
    """Runs ``smforge bump`` in the project, with a mirror that has the second project alone."""
    mirror = tmp_path / "mirror"
    environment = os.environ | {
        "XDG_CACHE_HOME": os.fspath(tmp_path / "cache"),
        "SMFORGE_SOURCES_MIRROR": os.fspath(mirror),
    }

    def run(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        mirror.mkdir(exist_ok=True)
        command = (sys.executable, "-m", "smforge", "bump", *words)
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == expect, done.stderr + done.stdout
        return done

    return run


def contents(project: Path) -> dict[str, str]:
    files = sorted(path for path in project.rglob("*") if path.is_file())
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def repository(place: Path, tag: str) -> str:
    """A git repository with one commit and a tag of its own record; returns the commit."""
    place.mkdir(parents=True)

    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ("git", "-C", str(place), *who, *words)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "One")
    git("tag", "-a", tag, "-m", tag)
    return git("rev-parse", "HEAD")


@pytest.mark.slow
def test_a_release_brings_its_files_its_pins_and_its_torch(
    project: Path, index: Index, bumped: Bumped, tmp_path: Path
) -> None:
    commit = repository(tmp_path / "mirror" / "example.invalid" / "second.git", "v1")
    shown = bumped("vllm", "0.0.2").stdout
    content = json.loads((project / "versions.json").read_text())
    source = content["sources"]["vllm"]
    names = ("vllm-0.0.2.tar.gz", f"vllm-0.0.2-{ANY_PYTHON}.whl")
    files = [index.root / "simple" / "vllm" / name for name in names]
    assert source["version"] == "0.0.2"
    assert source["torch"] == content["toolkits"]["13.0"]["torch"] == "2.11.0"
    assert source["files"] == {file.name: sha256(file) for file in files}
    assert source["externals"] == {
        "mla": {"kind": "git", "url": "https://example.invalid/mla.git", "commit": NEW},
        "second": {
            "kind": "git",
            "url": "https://example.invalid/second.git",
            "commit": commit,
            "tag": "v1",
            "submodules": ["one", "two"],
        },
    }
    assert content["torch_builds"]["2.11.0"] == ["cu130"]
    assert "2.10.0" not in content["torch_builds"]
    locked = project / "docker" / "image" / "requirements" / "cu130" / "pyproject.toml"
    assert locked.read_text() == 'vllm = ["torch==2.11.0", "vllm==0.0.2"]\n'
    assert resolve(load(project / "versions.json")).cells
    for words in ("0.0.1 → 0.0.2", "requirements/cu130/vllm.txt", "every extension", "none lost"):
        assert words in shown
    assert "(wheel linux/amd64): its wheels are taken as published" in shown


@pytest.mark.slow
def test_there_and_back_is_where_it_started(project: Path, bumped: Bumped) -> None:
    """What a later release adds goes again: a project, a torch, a row of its builds."""
    first = (project / "versions.json").read_text()
    bumped("vllm", "0.0.2", "--no-preflight")
    content = json.loads((project / "versions.json").read_text())
    assert content["sources"]["vllm"]["externals"]["second"]["commit"] is None  # no mirror has it
    back = bumped("vllm", "0.0.1", "--no-preflight").stdout
    assert "does not fetch second any more" in back
    entry = json.loads(first)["sources"]["vllm"]["externals"]["mla"]
    content = json.loads((project / "versions.json").read_text())
    # Which commit 0123abc was is known to nobody any more: it is not guessed.
    assert content["sources"]["vllm"]["externals"]["mla"] == entry | {"commit": None}
    content["sources"]["vllm"]["externals"]["mla"] = entry
    assert content == json.loads(first)


@pytest.mark.slow
def test_a_dry_run_says_the_same_and_writes_nothing(project: Path, bumped: Bumped) -> None:
    before = contents(project)
    dry = bumped("vllm", "0.0.2", "--dry-run", "--no-preflight").stdout
    assert contents(project) == before
    wet = bumped("vllm", "0.0.2", "--no-preflight").stdout
    assert contents(project) != before
    assert dry.splitlines()[:-1] == wet.splitlines()[:-1]
    assert "Nothing was written (--dry-run)" in dry


@pytest.mark.slow
def test_what_a_device_loses_is_exit_code_1(project: Path, bumped: Bumped) -> None:
    done = bumped("vllm", "0.0.3", "-o", "json", expect=1)
    document = json.loads(done.stdout)
    assert document["verdict"] == "fail"
    (component,) = document["components"]
    assert component["devices"]["9.0"]["lost"] == ["csrc/common.cu"]
    assert (document["written"], document["schema_version"]) == (True, 1)


@pytest.mark.slow
def test_the_newest_release_is_taken_where_none_is_named(project: Path, bumped: Bumped) -> None:
    bumped("vllm", "--no-preflight")
    assert (
        json.loads((project / "versions.json").read_text())["sources"]["vllm"]["version"] == "0.0.3"
    )
    assert "has these versions already" in bumped("vllm", "--no-preflight").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("vllm", "0.0.9"), "The nearest releases are 0.0.2, 0.0.3."),
        (("vlm", "0.0.2"), "Did you mean vllm?"),
        (("torch", "2.99"), "The nearest releases are 2.10.0, 2.11.0."),
        (("torch", "2.11.0"), "vllm 0.0.1 needs torch 2.10.0"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_changes(
    project: Path, bumped: Bumped, words: tuple[str, ...], said: str
) -> None:
    before = contents(project)
    assert said in bumped(*words, expect=2).stderr
    assert contents(project) == before


@pytest.mark.slow
def test_a_torch_that_is_not_published_for_the_toolkit_is_refused(
    project: Path, index: Index, bumped: Bumped
) -> None:
    index.wheel("torch", "2.11.0", LINUX, ("cuda-toolkit==13.2.2",))
    before = contents(project)
    said = bumped("vllm", "0.0.2", expect=2).stderr
    assert "requires torch 2.11.0, which is published for cu132 and not for CUDA 13.0.2" in said
    assert contents(project) == before


def test_the_block_of_bake_follows(
    project: Path, index: Index, bumped: Bumped, document: dict[str, Any]
) -> None:
    """A matrix whose block is stale is refused by everything else."""
    wheel = "flashinfer_python-0.7.9-py3-none-any.whl"
    index.wheel("flashinfer-python", "0.7.9")
    index.sdist("flashinfer-python", "0.7.9", Path(__file__).parent)
    (project / "versions.json").write_bytes(
        (Path(__file__).parents[3] / "versions.json").read_bytes()
    )
    bumped("flashinfer", "--no-preflight")
    content = json.loads((project / "versions.json").read_text())
    assert wheel in content["sources"]["flashinfer"]["files"]
    assert content["variable"]["FLASHINFER_VERSION"] == {"default": "0.7.9"}
    assert list(content["variable"]) == list(document_block())
    assert resolve(load(project / "versions.json")).cells


def test_line_ends_stay_as_they_are(project: Path, index: Index, bumped: Bumped) -> None:
    index.sdist("lmcache", "9.9", Path(__file__).parent)
    file = project / "versions.json"
    content = json.loads(file.read_text())
    files = content["sources"]["lmcache"]["files"]
    content["sources"]["lmcache"]["files"] = {
        name: digest for name, digest in files.items() if name.endswith(".tar.gz")
    }
    file.write_bytes((json.dumps(content, indent="\t") + "\n").replace("\n", "\r\n").encode())
    bumped("lmcache", "--no-preflight")
    written = file.read_bytes()
    assert b'"lmcache-9.9.tar.gz"' in written
    assert written.count(b"\n") == written.count(b"\r\n")


def document_block() -> dict[str, Any]:
    text = (Path(__file__).parents[3] / "versions.json").read_text()
    block: dict[str, Any] = json.loads(text)["variable"]
    return block


@pytest.mark.slow
def test_a_matrix_from_elsewhere_changes_no_locks_of_the_project_at_hand(
    project: Path, bumped: Bumped, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_bytes((project / "versions.json").read_bytes())
    before = contents(project)
    bumped("vllm", "0.0.2", "--no-preflight", "--config", str(other))
    assert contents(project) == before
    assert json.loads(other.read_text())["sources"]["vllm"]["version"] == "0.0.2"


@pytest.mark.slow
def test_a_flashinfer_that_vllm_does_not_ask_for_is_exit_code_1(
    project: Path, index: Index, bumped: Bumped, tree: MakeTree
) -> None:
    """vLLM itself stays the same; its sources pin another FlashInfer."""
    for version in ("0.7.8", "0.7.9"):
        index.sdist("flashinfer-python", version, tree("flashinfer_tree"))
    asking = tree("tree")
    (asking / "requirements").mkdir()
    (asking / "requirements" / "cuda.txt").write_text("flashinfer-python==0.7.8\n")
    vllm = index.sdist("vllm", "0.0.1", asking)
    file = project / "versions.json"
    content = json.loads(file.read_text())
    del content["variants"]["wheel"]
    components = content["variants"]["x"]["components"]
    components["flashinfer"] = {"selection": "core", "archs": {"linux/amd64": ["9.0a"]}}
    content["sources"]["vllm"]["files"] = {vllm.name: sha256(vllm)}
    archive = index.root / "simple" / "flashinfer-python" / "flashinfer_python-0.7.8.tar.gz"
    content["sources"]["flashinfer"] |= {
        "version": "0.7.8",
        "files": {archive.name: sha256(archive)},
    }
    file.write_text(json.dumps(content))
    selections = project / "docker" / "flashinfer" / "selections.json"
    selections.parent.mkdir()
    selections.write_text('{"core": ["*"]}')
    shown = bumped("flashinfer", "0.7.9", expect=1).stdout
    assert "pin-differs" in shown
    assert "vllm 0.0.1 requires flashinfer-python==0.7.8" in shown
