"""The wheel and the source archive: their bytes, their content, and what they say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.install.conftest import ROOT, build_distribution

CUBIN = Path(__file__).parent / "data" / "scale-sm_120.cubin"


def tracked(*places: str) -> list[str]:
    """The files that git knows below these places."""
    done = subprocess.run(
        ("git", "ls-files", "-z", *places), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split("\0") if name]


def test_a_second_build_has_the_same_bytes(distribution: tuple[Path, Path], tmp_path: Path) -> None:
    again = build_distribution(tmp_path)
    assert [one.read_bytes() for one in again] == [one.read_bytes() for one in distribution]


def test_the_source_archive_makes_the_same_wheel(
    distribution: tuple[Path, Path], tmp_path: Path
) -> None:
    sdist, wheel = distribution
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    _, again = build_distribution(tmp_path / "dist", tree)
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_package_and_the_project_and_nothing_else(
    distribution: tuple[Path, Path],
) -> None:
    shipped = {
        **{name.removeprefix("builder/"): name for name in tracked("builder/smforge")},
        **{
            f"smforge/project/{name}": name
            for name in tracked("docker", "docker-bake.hcl", "versions.json", "tools/engine")
        },
        **{
            f"smforge/docs/{name}.md": f"docs/{name}.md"
            for name in ("matrix", "policies", "rules", "settings")
        },
    }
    with zipfile.ZipFile(distribution[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert names == set(shipped)
        for name, source in shipped.items():
            assert wheel.read(name) == (ROOT / source).read_bytes(), name
            executable = bool(wheel.getinfo(name).external_attr >> 16 & 0o111)
            assert executable == os.access(ROOT / source, os.X_OK), name


def test_the_metadata_says_what_it_is(distribution: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distribution[1]) as wheel:
        (name,) = [one for one in wheel.namelist() if one.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(wheel.read(name))
        assert any(one.endswith(".dist-info/licenses/LICENSE") for one in wheel.namelist())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Provides-Extra") == ["build"]
    assert "CUDA" in metadata["Keywords"]
    assert "Typing :: Typed" in (metadata.get_all("Classifier") or [])
    # There is no public place yet: an address would lead nowhere.
    assert metadata.get_all("Project-URL") is None
    required = [one.split(";")[0] for one in metadata.get_all("Requires-Dist") or []]
    assert any(one.startswith("cmake") for one in required)


@pytest.mark.network
@pytest.mark.slow
def test_make_dist_tries_what_it_makes(tmp_path: Path) -> None:
    # A copy, since dist/ of this checkout may hold what its user wants to keep.
    tree = tmp_path / "tree"
    subprocess.run(("git", "clone", "-q", str(ROOT), str(tree)), check=True)
    (tree / ".venv").symlink_to(Path(sys.executable).parents[1])
    done = subprocess.run(("tools/dist",), cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "with the same bytes" in done.stdout
    assert {one.suffix for one in (tree / "dist").iterdir()} == {".whl", ".gz"}


@pytest.mark.network
@pytest.mark.slow
def test_one_line_without_an_installation_audits(
    distribution: tuple[Path, Path], tmp_path: Path
) -> None:
    uvx = Path(sys.executable).with_name("uvx")
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    for device, code in (("12.1", 0), ("9.0", 1)):
        done = subprocess.run(
            (uvx, "--from", distribution[1], "smforge", "audit", CUBIN, "--require", device),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert device in done.stdout
