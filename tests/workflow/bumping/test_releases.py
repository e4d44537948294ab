"""Releases and their files on a package index, asked through pip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.fetching.index import PackageIndex, package_index
from smforge.workflow.bumping.releases import files_like, find_release, releases_of
from tests.workflow.bumping.conftest import Index, sha256

X86, ARM = "cp313-cp313-manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_28_aarch64"


def test_the_newest_release_is_no_test_release_and_not_withdrawn(
    index: Index, asked: PackageIndex
) -> None:
    for version in ("1.0", "1.9.post1", "1.10", "2.0", "2.1rc1"):
        index.wheel("thing", version)
    index.announce("thing", yanked="thing-2.0")
    assert find_release(asked, "thing", None) == "1.10"
    assert find_release(asked, "thing", "1.9.post1") == "1.9.post1"
    assert find_release(asked, "thing", "2.1rc1") == "2.1rc1"


def test_a_release_that_does_not_exist_is_refused_with_the_nearest(
    index: Index, asked: PackageIndex
) -> None:
    for version in ("1.0", "1.1", "1.2", "1.4", "1.5", "1.6"):
        index.wheel("thing", version)
    with pytest.raises(UsageError) as caught:
        find_release(asked, "thing", "1.3")
    said = str(caught.value)
    assert f"no thing 1.3. Looked at: {index.url}/thing/." in said
    assert said.endswith("The nearest releases are 1.1, 1.2, 1.4, 1.5; the newest is 1.6.")
    with pytest.raises(UsageError, match="is no version"):
        find_release(asked, "thing", "new")


def test_credentials_of_the_index_are_not_shown(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//someone:secret@"))
    with package_index() as asked:
        assert asked.places("thing") == (index.url.replace("//", "//someone:****@") + "/thing/",)


def test_a_distribution_that_no_index_has_is_no_answer(asked: PackageIndex) -> None:
    with pytest.raises(ToolError, match="has no absent, or does not answer"):
        find_release(asked, "absent", None)


def test_files_follow_their_patterns_in_their_order(index: Index, asked: PackageIndex) -> None:
    """Each file that the matrix had is looked up: other files of the release are left out."""
    x86, arm = index.wheel("a-b", "2.0", X86), index.wheel("a-b", "2.0", ARM)
    index.wheel("a-b", "2.0", "cp313-cp313-win_amd64")
    archive = index.sdist("a-b", "2.0", Path(__file__).parent)
    before = [f"a_b-1.0-{ARM}.whl", "a_b-1.0.tar.gz", f"a_b-1.0-{X86}.whl"]
    found = files_like(asked, "a-b", "2.0", before)
    assert list(found.items()) == [(file.name, sha256(file)) for file in (arm, archive, x86)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (X86, "cp313-cp313-manylinux_2_31_x86_64"),
        (X86, "cp313-cp313-manylinux_2_27_x86_64.manylinux_2_28_x86_64"),
        (X86, "cp38-abi3-manylinux_2_28_x86_64"),
        ("cp38-abi3-manylinux1_x86_64", "py3-none-manylinux_2_28_x86_64"),
    ],
)
def test_a_wheel_of_another_kind_takes_the_place(
    index: Index, asked: PackageIndex, before: str, after: str
) -> None:
    wheel = index.wheel("thing", "2.0", after)
    assert files_like(asked, "thing", "2.0", [f"thing-1.0-{before}.whl"]) == {
        wheel.name: sha256(wheel)
    }


@pytest.mark.parametrize(
    "after", [ARM, "cp312-cp312-manylinux_2_28_x86_64", "cp313-cp313-win_amd64", "py3-none-any"]
)
def test_a_wheel_that_cannot_take_the_place_is_named(
    index: Index, asked: PackageIndex, after: str
) -> None:
    wheel = index.wheel("thing", "2.0", after)
    with pytest.raises(UsageError, match=r"in the place of thing-1\.0") as caught:
        files_like(asked, "thing", "2.0", [f"thing-1.0-{X86}.whl"])
    assert wheel.name in str(caught.value)


def test_what_the_index_does_not_announce_is_computed(index: Index, asked: PackageIndex) -> None:
    wheel = index.wheel("thing", "2.0")
    index.announce("thing", hashes=False)
    (file,) = asked.files("thing")
    assert file.sha256 is None
    assert asked.sha256_of(file) == sha256(wheel)


def test_a_directory_of_wheels_is_an_index_too(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = index.wheel("thing", "2.0", requires=("other==1",))
    place = tmp_path / "wheels"
    place.mkdir()
    wheel.rename(place / wheel.name)
    index.announce("thing")
    monkeypatch.setenv("PIP_FIND_LINKS", os.fspath(place))
    with package_index() as asked:
        assert list(map(str, releases_of(asked, "thing"))) == ["2.0"]
        (file,) = asked.files("thing")
        assert asked.sha256_of(file) == sha256(place / wheel.name)
        assert asked.requirements_of(file) == ("other==1",)


@pytest.mark.parametrize("beside", [True, False])
def test_what_a_wheel_requires_is_read_without_installing_it(
    index: Index, asked: PackageIndex, beside: bool
) -> None:
    index.wheel("thing", "2.0", requires=("one==1.0", 'two>2; extra == "x"'), beside=beside)
    (file,) = asked.files("thing")
    assert asked.requirements_of(file) == ("one==1.0", 'two>2; extra == "x"')


def test_a_wheel_that_is_none_is_damaged(index: Index, asked: PackageIndex) -> None:
    wheel = index.wheel("thing", "2.0")
    wheel.write_bytes(b"not a wheel")
    (file,) = asked.files("thing")
    with pytest.raises(DamagedInputError, match="no metadata"):
        asked.requirements_of(file)


def test_a_file_that_is_listed_and_not_given_is_an_error(index: Index, asked: PackageIndex) -> None:
    wheel = index.wheel("thing", "2.0")
    index.announce("thing", hashes=False)
    (file,) = asked.files("thing")
    wheel.unlink()
    with pytest.raises(ToolError, match="and does not give it"):
        asked.sha256_of(file)
