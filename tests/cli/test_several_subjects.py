"""``smforge audit`` of several subjects, and of a folder in which wheels lie."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.report.saved import report_from_json

Smforge = Callable[..., "Ran"]  # type: ignore[name-defined]  # noqa: F821 - of conftest.py
pytestmark = pytest.mark.toolchain


def wheel_of(path: Path, files: dict[str, Path | str]) -> Path:
    name, version = path.name.split("-")[:2]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            if isinstance(content, Path):
                archive.write(content, member)
            else:
                archive.writestr(member, content)
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {name}\n")
    return path


@pytest.fixture
def folder(wheel: Path, libraries: Path, tmp_path: Path) -> Path:
    """Wheels for 12.0f and for 8.0 and newer, a wheel without GPU code, and a text."""
    place = tmp_path / "dist"
    place.mkdir()
    shutil.copy(wheel, place)
    wheel_of(place / "norm-1.0-py3-none-linux_x86_64.whl", {"norm/n.so": libraries / "norm.so"})
    wheel_of(place / "plain-1.0-py3-none-any.whl", {"plain/__init__.py": ""})
    (place / "requirements.txt").write_text("kernels\n")
    return place


def closing(out: str) -> list[str]:
    """The rows of the closing table: the last block of lines."""
    return out.rstrip().rpartition("\n\n")[2].splitlines()


def test_each_wheel_of_a_folder_is_a_subject(smforge: Smforge, folder: Path) -> None:
    ran = smforge("audit", folder, "--require", "12.0 9.0", "-o", "table")
    assert ran.code == 1
    heading, first, second, last = closing(ran.out)
    assert heading.split() == ["2", "subjects", "verdict", "12.0", "9.0"]
    assert first.startswith("kernels-1.0-py3-none-linux_x86_64.whl  FAIL")
    assert second.startswith("norm-1.0-py3-none-linux_x86_64.whl     PASS")
    assert last == "1 more without GPU code, which were not judged"
    assert "plain-1.0-py3-none-any.whl" in ran.err
    assert smforge("audit", folder, "--require", "12.0").code == 0
    assert smforge("audit", folder, "--require", "8.0", "-q").code == 1


def test_together_they_are_one_installation(smforge: Smforge, folder: Path) -> None:
    apart = smforge("audit", folder, "--require", "9.0", "-o", "json")
    together = smforge("audit", folder, "--require", "9.0", "--together", "-o", "json")
    assert [one["verdict"] for one in json.loads(apart.out)] == ["fail", "pass"]
    assert (apart.code, together.code) == (1, 0)
    report = report_from_json(together.out)
    assert report.subject.name == "dist"
    assert [file.path for file in report.files] == [
        "kernels-1.0-py3-none-linux_x86_64.whl/kernels/activation.so",
        "norm-1.0-py3-none-linux_x86_64.whl/norm/n.so",
    ]
    wheels = sorted(folder.glob("*x86_64.whl"))
    named = smforge("audit", *wheels, "--require", "9.0", "--together", "-o", "json")
    assert named.code == 0
    assert report_from_json(named.out).subject.name == " + ".join(one.name for one in wheels)


def test_what_lies_beside_the_wheels_is_judged_too(
    smforge: Smforge, folder: Path, libraries: Path
) -> None:
    shutil.copy(libraries / "activation.so", folder / "unpacked.so")
    ran = smforge("audit", folder, "--require", "8.0", "-o", "json")
    verdicts = {one["subject"]["name"]: one["verdict"] for one in json.loads(ran.out)}
    assert verdicts == {
        "kernels-1.0-py3-none-linux_x86_64.whl": "fail",
        "norm-1.0-py3-none-linux_x86_64.whl": "pass",
        "dist without its wheels": "fail",
    }
    together = smforge("audit", folder, "--require", "12.0", "--together", "-o", "json")
    assert len(report_from_json(together.out).files) == 3


def test_nothing_that_cannot_be_read_is_left_out(
    smforge: Smforge, folder: Path, libraries: Path
) -> None:
    (folder / "page-1.0-py3-none-linux_x86_64.whl").write_text("<html>")
    (folder / "linked.whl").symlink_to("/nowhere/linked.whl")
    ran = smforge("audit", folder, "--require", "12.0", "-o", "json")
    verdicts = {one["subject"]["name"]: one["verdict"] for one in json.loads(ran.out)}
    assert ran.code == 4
    assert verdicts["page-1.0-py3-none-linux_x86_64.whl"] == "undetermined"
    assert verdicts["dist without its wheels"] == "undetermined"
    assert smforge("audit", folder, "--require", "12.0", "--together").code == 4
    shutil.copy(libraries / "activation.so", folder)
    assert smforge("audit", folder, "--require", "8.0").code == 1


def test_what_json_looks_like_does_not_depend_on_what_the_wheels_hold(
    smforge: Smforge, folder: Path
) -> None:
    next(folder.glob("norm-*.whl")).unlink()
    ran = smforge("audit", folder, "--require", "12.0", "-o", "json")
    (report,) = json.loads(ran.out)
    assert report["subject"]["name"] == "kernels-1.0-py3-none-linux_x86_64.whl"
    assert ran.code == 0


def test_a_folder_of_wheels_without_gpu_code_is_no_pass(smforge: Smforge, tmp_path: Path) -> None:
    for name in ("a", "b"):
        wheel_of(tmp_path / f"{name}-1.0-py3-none-any.whl", {f"{name}.py": ""})
    ran = smforge("audit", tmp_path, "--require", "12.0", "-o", "json")
    assert ran.code == 3
    assert {one["verdict"] for one in json.loads(ran.out)} == {"nothing"}


def test_every_format_has_every_subject(smforge: Smforge, folder: Path, tmp_path: Path) -> None:
    forms = ("json", "markdown", "junit", "sarif", "html")
    flags = [f"-o{form}={tmp_path / form}" for form in forms]
    assert smforge("audit", folder, "--require", "9.0", "-q", *flags).code == 1
    names = ["kernels-1.0-py3-none-linux_x86_64.whl", "norm-1.0-py3-none-linux_x86_64.whl"]
    for report in json.loads((tmp_path / "json").read_text()):
        report_from_json(json.dumps(report))
    suites = ET.parse(tmp_path / "junit").getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == names
    runs = json.loads((tmp_path / "sarif").read_text())["runs"]
    assert [run["properties"]["subject"] for run in runs] == names
    text = (tmp_path / "markdown").read_text()
    assert text.startswith("## 2 subjects: 1 fail, 1 pass\n")
    assert text.index("kernels-1.0") < text.index("norm-1.0") < text.index("1 more without")
    assert all(name in (tmp_path / "html").read_text() for name in names)


def test_subjects_of_one_name_are_told_apart(
    smforge: Smforge, libraries: Path, tmp_path: Path
) -> None:
    for place, library in (("old", "activation.so"), ("new", "norm.so")):
        (tmp_path / place).mkdir()
        shutil.copy(libraries / library, tmp_path / place / "k.so")
    paths = [tmp_path / "old" / "k.so", tmp_path / "new" / "k.so"]
    ran = smforge("audit", *paths, "--require", "8.0", "-o", "json")
    assert [one["subject"]["name"] for one in json.loads(ran.out)] == [str(one) for one in paths]
    assert ran.code == 1


def test_many_devices_are_shown_as_marks(smforge: Smforge, folder: Path) -> None:
    rows = closing(smforge("audit", folder, "-o", "table").out)
    assert all(len(row) <= 100 for row in rows)
    assert "native" in rows[-1]
