"""``smforge publish``: images of two platforms, built by BuildKit, to a real registry."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from smforge.bake.record import RunRecord
from smforge.oci.layout import LayoutFolder
from smforge.publish.finish import finish
from smforge.publish.layouts import read_root

ROOT = Path(__file__).parents[2]
PLATFORMS = ("linux/amd64", "linux/arm64")
MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
VARIANT = "small"

pytestmark = [pytest.mark.engine, pytest.mark.toolchain, pytest.mark.network]


def smforge(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "smforge", "-q", *map(str, arguments))
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def layouts(built: Callable[..., Any]) -> dict[str, Path]:
    """An image for each platform, each with its own report."""
    return {platform: built(True, platform).layout for platform in PLATFORMS}


@pytest.fixture
def project(layouts: dict[str, Path], tmp_path: Path) -> Path:
    """A matrix with a variant of two platforms, and what a build of both leaves in out/."""
    document = json.loads((ROOT / "versions.json").read_text())
    both = next(one for one in document["variants"].values() if set(one["require"]) == {*PLATFORMS})
    document["variants"] = {document["default"]: both, VARIANT: both}
    del document["variable"]
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "versions.json").write_text(json.dumps(document))
    for platform, layout in layouts.items():
        output(folder / "out" / VARIANT / platform.replace("/", "-"), platform, layout)
    return folder


def output(folder: Path, platform: str, layout: Path, tag: str = "1.0") -> None:
    """What a build leaves: the finished layout, the report of its audit, and the record."""
    folder.mkdir(parents=True)
    image = Path(shutil.copytree(layout, folder / "image"))
    # What is read of a report; tests/publish/test_push.py holds its digest against real audits.
    ((audited,),) = [read_root(LayoutFolder(image)).images(str(image))]
    subject = {"digest": audited.digest}
    report = json.dumps({"schema_version": 1, "verdict": "pass", "subject": subject})
    (folder / "audit.json").write_text(report)
    finish(image, report, "pass", MOMENT, lambda *_: {"spdxVersion": "SPDX-2.3"})
    audit = {
        "verdict": "pass",
        "exit_code": 0,
        "findings": 0,
        "report": "audit.json",
        "report_sha256": hashlib.sha256(report.encode()).hexdigest(),
    }
    record = RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": "passed",
            "exit_code": 0,
            "started": "2026-11-21T13:00:00Z",
            "finished": "2026-11-21T13:00:01Z",
            "seconds": 1.0,
            "inputs_sha256": "0" * 64,
            "plan": {
                "variant": VARIANT,
                "platform": platform,
                "toolkit": {"tag": "cu130"},
                "image": {"name": "small", "tag": tag, "user": "root"},
            },
            "variables": {},
            "command": ("docker",),
            "tools": {},
            "audit": audit,
            "image_audit": audit,
        }
    )
    (folder / "record.json").write_text(record.text)


def test_the_tag_of_all_platforms_comes_last(project: Path, registry: str, ask: Any) -> None:
    done = smforge("publish", "--to", f"{registry}/team/small", "-o", "json", cwd=project)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["images"]
    assert one["reference"] == f"{registry}/team/small:1.0"
    assert list(one["platforms"]) == list(PLATFORMS)
    index = ask("team/small/manifests/1.0")
    assert index == ask(f"team/small/manifests/{one['digest']}")
    images = [entry for entry in index["manifests"] if entry["platform"]["os"] == "linux"]
    assert [f"linux/{entry['platform']['architecture']}" for entry in images] == list(PLATFORMS)
    assert {entry["annotations"]["io.smforge.verdict"] for entry in images} == {"pass"}
    # Provenance and bill of materials of each.
    assert len(index["manifests"]) == 6
    assert index["annotations"]["io.smforge.verdict"] == "pass"
    assert "io.smforge.report.digest" not in index["annotations"]
    for cpu, entry in zip(("amd64", "arm64"), images, strict=True):
        assert entry in ask(f"team/small/manifests/1.0-{cpu}")["manifests"]
        audited = smforge(
            "audit", f"registry:{registry}/team/small:1.0", "--platform", f"linux/{cpu}",
            "-o", "json",
        )  # fmt: skip
        assert json.loads(audited.stdout)["subject"]["digest"] == entry["digest"]


def test_the_engine_s_own_client_takes_it(project: Path, registry: str) -> None:
    assert smforge("publish", "--to", f"{registry}/team/small", cwd=project).returncode == 0
    inspect = ("docker", "buildx", "imagetools", "inspect", f"{registry}/team/small:1.0")
    done = subprocess.run(
        (*inspect, "--format", "{{json .SBOM}}"), capture_output=True, text=True, check=True
    )
    assert sorted(json.loads(done.stdout)) == sorted(PLATFORMS)


def test_without_all_platforms_nothing_is_pushed(project: Path, registry: str, ask: Any) -> None:
    shutil.rmtree(project / "out" / VARIANT / "linux-arm64")
    done = smforge("publish", "--to", f"{registry}/team/small", cwd=project)
    assert done.returncode == 1
    assert f"{VARIANT} has not passed for linux/arm64" in done.stderr
    assert ask("_catalog") == {"repositories": []}


def test_platforms_may_come_from_several_machines(
    project: Path, registry: str, tmp_path: Path, ask: Any
) -> None:
    elsewhere = tmp_path / "out-arm64"
    (project / "out" / VARIANT / "linux-arm64").rename(elsewhere)
    done = smforge("publish", "out", elsewhere, "--to", f"{registry}/team/small", cwd=project)
    assert done.returncode == 0, done.stderr
    assert f"tagged: {registry}/team/small:1.0 for linux/amd64, linux/arm64" in done.stdout
    again = smforge("publish", "out", "--to", f"{registry}/team/small", elsewhere, cwd=project)
    assert "0 bytes" in again.stdout
    assert sorted(tag for tag in ask("team/small/tags/list")["tags"] if "sha256" not in tag) == [
        "1.0", "1.0-amd64", "1.0-arm64",
    ]  # fmt: skip


def test_a_publish_that_is_killed_leaves_no_tag_of_a_part(
    project: Path, registry: str, ask: Any
) -> None:
    """Killed after each twelfth of its time: what has a tag is whole, and the next one ends it."""
    began = time.monotonic()
    done = smforge("publish", "--to", f"{registry}/whole", "-o", "json", cwd=project)
    seconds = time.monotonic() - began
    (whole,) = json.loads(done.stdout)["images"]
    killed = 0
    for part in range(1, 13):
        name = f"killed{part}"
        killed += kill_publish(project, f"{registry}/{name}", seconds * part / 12)
        for tag in ("1.0", "1.0-amd64", "1.0-arm64"):
            if index := ask(f"{name}/manifests/{tag}"):
                assert is_whole(index, registry, name, ask), (part, tag)
        done = smforge("publish", "--to", f"{registry}/{name}", "-o", "json", cwd=project)
        (after,) = json.loads(done.stdout)["images"]
        assert after["digest"] == whole["digest"]
        assert ask(f"{name}/manifests/1.0") == ask("whole/manifests/1.0")
    assert killed > 6


def kill_publish(project: Path, repository: str, seconds: float) -> bool:
    """Kill a command after some seconds; False where it had ended before."""
    command = (sys.executable, "-m", "smforge", "-q", "publish", "--to", repository)
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def is_whole(index: Any, registry: str, name: str, ask: Any) -> bool:
    """Whether the registry has every manifest of an index, and every blob of these."""
    manifests = [ask(f"{name}/manifests/{one['digest']}") for one in index["manifests"]]
    if not all(manifests):
        return False
    blobs = {
        blob["digest"]
        for manifest in manifests
        for blob in (manifest["config"], *manifest["layers"])
    }
    answers = (
        urllib3.request("HEAD", f"http://{registry}/v2/{name}/blobs/{blob}") for blob in blobs
    )
    return all(answer.status == 200 for answer in answers)


def test_an_image_that_no_audit_saw_is_refused(
    project: Path, layouts: dict[str, Path], registry: str, ask: Any, tmp_path: Path
) -> None:
    """Whoever can write to OUT can put another layout there; the report names the image."""
    place = project / "out" / VARIANT / "linux-arm64" / "image"
    shutil.rmtree(place)
    shutil.copytree(layouts["linux/amd64"], place)
    done = smforge("publish", "--to", f"{registry}/team/small", cwd=project)
    assert done.returncode == 4
    assert "and the report is about sha256:" in done.stderr
    shutil.rmtree(place)
    done = smforge("publish", "--to", f"{registry}/team/small", cwd=project)
    assert (done.returncode, "is gone" in done.stderr) == (4, True)
    assert ask("_catalog") == {"repositories": []}


@pytest.mark.parametrize("subject", [{}, {"digest": None}, "sha256:0"])
def test_a_report_about_no_image_is_refused(
    project: Path, registry: str, ask: Any, subject: Any
) -> None:
    place = project / "out" / VARIANT / "linux-arm64"
    report = json.dumps({"schema_version": 1, "verdict": "pass", "subject": subject})
    (place / "audit.json").write_text(report)
    record = json.loads((place / "record.json").read_text())
    for audit in (record["audit"], record["image_audit"]):
        audit["report_sha256"] = hashlib.sha256(report.encode()).hexdigest()
    (place / "record.json").write_text(json.dumps(record))
    done = smforge("publish", "--to", f"{registry}/team/small", cwd=project)
    assert (done.returncode, "which image it is about" in done.stderr) == (4, True), done.stderr
    assert ask("_catalog") == {"repositories": []}


def test_two_tags_of_one_variant_are_refused(
    project: Path, layouts: dict[str, Path], registry: str, ask: Any
) -> None:
    place = project / "out" / VARIANT / "linux-arm64"
    shutil.rmtree(place)
    output(place, "linux/arm64", layouts["linux/arm64"], tag="0.9")
    done = smforge("publish", "--to", f"{registry}/team/small", cwd=project)
    assert (done.returncode, "several tags: 1.0, 0.9" in done.stderr) == (2, True)
    assert ask("_catalog") == {"repositories": []}


@pytest.mark.parametrize("repository", ["small", "HOST:x/Y", "127.0.0.1:1/team/small:1"])
def test_what_is_no_repository_is_refused(project: Path, repository: str) -> None:
    done = smforge("publish", "--to", repository, cwd=project)
    assert (done.returncode, "is not a repository" in done.stderr) == (2, True)


def test_a_registry_that_is_gone_is_an_error(project: Path) -> None:
    done = smforge("publish", "--to", "127.0.0.1:9/team/small", cwd=project)
    assert done.returncode == 4, done.stderr


def test_nothing_to_publish(project: Path) -> None:
    shutil.rmtree(project / "out")
    assert smforge("publish", "--to", "localhost:1/a", cwd=project).returncode == 2
    (project / "out").mkdir()
    assert smforge("publish", "--to", "localhost:1/a", cwd=project).returncode == 2
    assert list((project / "out").iterdir()) == []
