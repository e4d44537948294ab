"""What a source tree or an sdist is, and what of it is copied."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.preflight.sources.tree import Project, copy_inputs, open_source, takes_part


def test_a_tree_says_its_name_and_version(small_tree: Path) -> None:
    identity = open_source(small_tree).identity
    assert (identity.name, identity.version) == ("vllm", "0.0.1")
    assert identity.digest.startswith("sha256:")


def test_an_sdist_is_known_by_its_name_and_bytes(sdist: Path) -> None:
    identity = open_source(sdist).identity
    assert (identity.name, identity.version) == ("vllm", "0.0.1")


def test_the_digest_follows_the_build_inputs_alone(tree: Path) -> None:
    before = open_source(tree).identity.digest
    (tree / "vllm" / "more.py").write_text("")
    (tree / ".git").mkdir()
    (tree / ".git" / "HEAD").write_text("")
    assert open_source(tree).identity.digest == before
    (tree / "csrc" / "fp4.cu").write_text("// changed")
    assert open_source(tree).identity.digest != before


@pytest.mark.parametrize(
    ("path", "expected"),
    [("CMakeLists.txt", True), ("csrc/a/b.cu", True), (".gitignore", True), (".git/HEAD", False),
     ("vllm/x.py", False), ("tests/x.py", False), ("new_directory/x", True)],
)  # fmt: skip
def test_what_takes_part(path: str, expected: bool) -> None:
    assert takes_part(PurePosixPath(path), Project.VLLM) is expected


def test_a_copy_of_tree_and_sdist_hold_the_same(
    small_tree: Path, sdist: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "one", tmp_path / "two"
    for copy, source in zip(copies, (small_tree, sdist), strict=True):
        copy.mkdir()
        copy_inputs(open_source(source), copy)
    first, second = (
        {
            str(file.relative_to(copy)): file.read_bytes()
            for file in copy.rglob("*")
            if file.is_file()
        }
        for copy in copies
    )
    assert first == second
    assert "CMakeLists.txt" in first
    assert not any(name.startswith("vllm/") for name in first)


def test_links_are_copied_as_what_they_point_to(tree: Path, tmp_path: Path) -> None:
    """A generator that writes into the copy must not write through a link."""
    outside = tmp_path / "outside.cu"
    outside.write_text("// outside")
    (tree / "csrc" / "link.cu").symlink_to(outside)
    (tree / "csrc" / "dangling.cu").symlink_to(tmp_path / "nothing")
    copy = tmp_path / "copy"
    copy.mkdir()
    copy_inputs(open_source(tree), copy)
    assert not (copy / "csrc" / "link.cu").is_symlink()
    assert (copy / "csrc" / "link.cu").read_text() == "// outside"
    assert not os.path.lexists(copy / "csrc" / "dangling.cu")


def test_a_cut_archive_is_damaged(sdist: Path, tmp_path: Path) -> None:
    sdist.write_bytes(sdist.read_bytes()[:-200])
    with pytest.raises(DamagedInputError, match=r"vllm-0\.0\.1\.tar\.gz"):
        copy_inputs(open_source(sdist), tmp_path)


def test_a_place_that_cannot_be_written_is_not_a_damaged_archive(sdist: Path) -> None:
    """Nobody, not even root, can make files in /sys."""
    with pytest.raises(ToolError, match="cannot be unpacked in /sys"):
        copy_inputs(open_source(sdist), Path("/sys"))


def test_what_is_not_an_archive_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "vllm-1.tar.gz"
    file.write_text("no archive")
    with pytest.raises(DamagedInputError):
        copy_inputs(open_source(file), tmp_path)


def test_what_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no"):
        open_source(tmp_path / "nothing")
