"""The version of a checkout that is built, counted with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.checkout import version_of
from smforge.errors import UsageError
from smforge.matrix.load import load
from smforge.plan.resolve import resolve


def git(where: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    command = ("git", "-C", str(where), *identity, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(where: Path) -> None:
    git(where, "commit", "--quiet", "--allow-empty", "--message=one more")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "setup.py").write_text("")
    git(tmp_path, "add", ".")
    commit(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "following"),
    [("v0.33.0", "0.33.1"), ("v0.33.0rc1", "0.33.0rc2"), ("v0.33.0.post1", "0.33.0.post2")],
)
def test_a_version_is_counted_from_the_nearest_tag(tree: Path, tag: str, following: str) -> None:
    git(tree, "tag", tag)
    assert version_of(tree) == tag.removeprefix("v")
    git(tree, "tag", "other-1.0")  # no release of vLLM
    commit(tree)
    commit(tree)
    head = git(tree, "rev-parse", "--short=9", "HEAD")
    assert version_of(tree) == f"{following}.dev2+g{head}"
    (tree / "setup.py").write_text("changed")
    assert version_of(tree) == f"{following}.dev2+g{head}.dirty"


def test_a_tree_without_a_release_tag_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git checkout with a release tag"):
        version_of(tree)
    (tmp_path / "plain").mkdir()
    with pytest.raises(UsageError, match="version is counted from there"):
        version_of(tmp_path / "plain")


def test_a_version_is_counted_only_where_the_tree_is_built(tree: Path) -> None:
    matrix = load(Path(__file__).parents[2] / "versions.json")
    versions = HostSettings(ca_bundle=None, network="default", checkout=tree).versions
    (cell,) = resolve(matrix, ["demo"], versions).cells
    assert cell.component("vllm") is None
    with pytest.raises(UsageError, match="no git checkout with a release tag"):
        resolve(matrix, ["demo-source"], versions)
    git(tree, "tag", "v0.33.0")
    (cell,) = resolve(matrix, ["demo-source"], versions).cells
    vllm = cell.component("vllm")
    assert vllm is not None
    assert (vllm.version, vllm.checkout) == ("0.33.0", True)
