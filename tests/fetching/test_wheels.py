"""Wheels that are fetched from a real server with pip's own session."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import DamagedInputError, ToolError, UsageError
from smforge.fetching import cache
from smforge.fetching.wheels import Target, fetch_url, fetch_wheel
from tests.fetching.conftest import Index

MakeWheel = Callable[..., Path]
AMD, ARM = Target("linux/amd64", "3.12"), Target("linux/arm64", "3.12")
# pip leaves the page of an index open where it is asked for more than one.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def kernels(index: Index, make_wheel: MakeWheel) -> Index:
    """Three releases of kernels; the newest for one CPU and one Python alone, the middle yanked."""
    for name in (
        "kernels-1.0-py3-none-manylinux_2_28_x86_64.whl",
        "kernels-1.0-py3-none-manylinux2014_aarch64.whl",
        "kernels-3.0-cp312-cp312-manylinux_2_28_x86_64.manylinux_2_17_x86_64.whl",
    ):
        index.release(make_wheel(name, {"kernels/__init__.py": name}))
    yanked = make_wheel("kernels-2.0-cp38-abi3-manylinux_2_35_x86_64.whl")
    index.release(yanked, yanked="wrong kernels")
    return index


@pytest.mark.parametrize(
    ("requirement", "target", "name"),
    [
        ("kernels", AMD, "kernels-3.0-cp312-cp312-manylinux_2_28_x86_64.manylinux_2_17_x86_64.whl"),
        ("Kernels==1.0", AMD, "kernels-1.0-py3-none-manylinux_2_28_x86_64.whl"),
        ("kernels", ARM, "kernels-1.0-py3-none-manylinux2014_aarch64.whl"),
        (
            "kernels",
            Target("linux/amd64", "3.11"),
            "kernels-1.0-py3-none-manylinux_2_28_x86_64.whl",
        ),
        ("kernels>=1,<2", AMD, "kernels-1.0-py3-none-manylinux_2_28_x86_64.whl"),
    ],
)
def test_the_wheel_for_the_target_is_chosen(
    kernels: Index, requirement: str, target: Target, name: str
) -> None:
    found = fetch_wheel(requirement, target)
    assert found.name == name
    assert found.path.read_bytes() == kernels.files[f"/files/{name}"]
    assert found.release == f"kernels=={name.split('-')[1]}"
    assert found.yanked is None
    newest = {"kernels": "3.0"}.get(requirement)
    assert found.newer == (newest if found.release != f"kernels=={newest}" else None)


def test_what_was_fetched_is_not_fetched_again(kernels: Index) -> None:
    first = fetch_wheel("kernels==1.0", AMD)
    assert fetch_wheel("kernels==1.0", AMD) == first
    assert kernels.fetched(first.name) == 1
    digest = hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.path.parent.name == digest


def test_a_yanked_release_is_fetched_by_its_version_alone_and_says_so(kernels: Index) -> None:
    assert fetch_wheel("kernels==2.0", AMD).yanked == "wrong kernels"
    assert fetch_wheel("kernels", AMD).release == "kernels==3.0"


@pytest.mark.parametrize(
    ("requirement", "target", "said"),
    [
        ("nothing", AMD, "no nothing, or does not answer"),
        ("kernels==9", AMD, r"no kernels==9; the newest are 1\.0, 2\.0, 3\.0"),
        (
            "kernels==3.0",
            ARM,
            r"no wheel for linux/arm64 and Python 3\.12, but these: kernels-3\.0-cp312-cp312",
        ),
    ],
)
def test_what_the_index_lacks_is_one_sentence(
    kernels: Index, requirement: str, target: Target, said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        fetch_wheel(requirement, target)
    assert not cache.folder().exists()


def test_a_release_for_other_pythons_and_one_of_sources(
    index: Index, make_wheel: MakeWheel
) -> None:
    index.release(make_wheel("new-1.0-py3-none-any.whl"), python=">=3.14")
    with pytest.raises(ToolError, match=r"new==1\.0 is not for Python 3\.12"):
        fetch_wheel("new==1.0", AMD)
    index.files["/simple/old/"] = b'<a href="/files/old-1.0.tar.gz">old-1.0.tar.gz</a>'
    with pytest.raises(ToolError, match="no wheel in the package index, only sources"):
        fetch_wheel("old==1.0", AMD)


@pytest.mark.parametrize(
    ("requirement", "target"),
    [
        ("", AMD),
        ("a b", AMD),
        ("kernels[all]", AMD),
        ("kernels @ https://example.com/k.whl", AMD),
        ("kernels; python_version > '3'", AMD),
        ("kernels", Target("linux/riscv64", "3.12")),
        ("kernels", Target("linux/amd64", "python3")),
    ],
)
def test_what_names_no_release_is_refused(index: Index, requirement: str, target: Target) -> None:
    with pytest.raises(UsageError):
        fetch_wheel(requirement, target)
    assert index.asked == []


def test_another_index_can_be_named(kernels: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    target = Target("linux/amd64", "3.12", kernels.simple)
    assert fetch_wheel("kernels", target).release == "kernels==3.0"


def test_what_arrives_has_to_be_what_the_index_announced(
    index: Index, make_wheel: MakeWheel
) -> None:
    index.release(make_wheel("kernels-1.0-py3-none-any.whl"), digest="0" * 64)
    with pytest.raises(DamagedInputError, match="arrived with the sha256"):
        fetch_wheel("kernels", AMD)
    assert list(cache.folder().iterdir()) == []


def test_a_download_that_breaks_off_goes_on_from_there(index: Index, make_wheel: MakeWheel) -> None:
    wheel = make_wheel("kernels-1.0-py3-none-any.whl", {"kernels/data": os.urandom(900_000).hex()})
    index.release(wheel)
    index.breaks[f"/files/{wheel.name}"] = 300_000
    assert fetch_wheel("kernels", AMD).path.read_bytes() == wheel.read_bytes()
    assert [span for path, span in index.asked if path.endswith(".whl")] == ["", "bytes=300000-"]


def test_an_address(index: Index, make_wheel: MakeWheel) -> None:
    wheel = make_wheel("kernels-1.0-py3-none-any.whl")
    index.files["/a b/kernels-1.0-py3-none-any.whl"] = wheel.read_bytes()
    index.redirects["/here"] = "/a%20b/kernels-1.0-py3-none-any.whl"
    index.redirects["/away"] = "http://localhost.example/x.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    address = f"{index.url}/a%20b/kernels-1.0-py3-none-any.whl"
    for url in (address, f"{address}#sha256={digest}", f"{address}?token=1#sha256={digest}"):
        found = fetch_url(url)
        assert found.name == wheel.name
        assert found.path.read_bytes() == wheel.read_bytes()
    assert fetch_url(f"{index.url}/here").path.read_bytes() == wheel.read_bytes()
    with pytest.raises(DamagedInputError, match="arrived with the sha256"):
        fetch_url(f"{address}#sha256={'0' * 64}")
    with pytest.raises(UsageError, match="is no digest"):
        fetch_url(f"{address}#md5=0")
    with pytest.raises(ToolError, match="answers HTTP 404"):
        fetch_url(f"{index.url}/nothing.whl")
    with pytest.raises(UsageError, match="is not HTTPS"):
        fetch_url("http://example.com/x.whl")


def test_a_name_leads_nowhere_else(index: Index) -> None:
    index.files["/x/../../etc/passwd"] = b"text"
    found = fetch_url(f"{index.url}/x/..%2F..%2Fetc%2Fpasswd")
    assert found.path.is_relative_to(cache.folder())
    assert found.path.read_bytes() == b"text"


def test_a_file_that_is_too_long_is_refused(
    index: Index, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.release(make_wheel("kernels-1.0-py3-none-any.whl"))
    monkeypatch.setattr("smforge.fetching.download.MOST_BYTES", 100)
    with pytest.raises(DamagedInputError, match="longer than 100 bytes"):
        fetch_wheel("kernels", AMD)


def test_the_cache_forgets_what_was_used_longest_ago(
    index: Index, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.release(make_wheel("kernels-1.0-py3-none-any.whl"))
    index.release(make_wheel("other-1.0-py3-none-any.whl"))
    first = fetch_wheel("kernels", AMD).path
    monkeypatch.setattr("smforge.fetching.cache.MOST_BYTES", first.stat().st_size + 10)
    second = fetch_wheel("other", AMD).path
    assert second.exists()
    assert not first.exists()


@pytest.mark.network
@pytest.mark.slow
def test_a_release_of_the_real_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = fetch_wheel("iniconfig==2.0.0", ARM)
    assert found.name == "iniconfig-2.0.0-py3-none-any.whl"
    assert found.path.stat().st_size > 1000
