"""The pipeline of a small matrix, walked through: every job's commands, on a real engine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.small_site import WHEEL, provide_root_file_systems
from smforge.bake.host import own_engine
from smforge.matrix.load import load
from smforge.plan.choices import Choices
from smforge.plan.pipelines import github
from smforge.plan.resolve import resolve
from tests.ci.walk import Walk
from tests.publish.test_command import (
    ROOT,
    VARIANT,
    secret,
    site,
)

__all__ = ["secret", "site"]
pytestmark = [pytest.mark.engine, pytest.mark.toolchain, pytest.mark.network, pytest.mark.slow]

PROGRAM = """\
#!/bin/sh
# This checkout's smforge. Preflight would miss the modules of FlashInfer in the small wheel.
case "$1" in build | merge) command=$1; shift; set -- "$command" --preflight off "$@" ;; esac
PYTHONPATH={builder} exec {python} -P -m smforge "$@"
"""


@pytest.fixture
def checkout(site: Path) -> Path:
    """The small project with what a job calls: make, tools/engine and the command."""
    (site / "Makefile").write_text("setup:\n\t@test -x .venv/bin/smforge\n")
    shutil.copytree(ROOT / "docker", site / "docker")  # What the check of the plan looks for.
    (site / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "engine", site / "tools")
    program = site / ".venv" / "bin" / "smforge"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(builder=ROOT / "builder", python=sys.executable))
    program.chmod(0o755)
    return site


@pytest.fixture
def walk(checkout: Path, registry: str, tmp_path: Path) -> Callable[..., Walk]:
    def walk(choices: Choices = Choices()) -> Walk:  # noqa: B008 - frozen
        matrix = checkout / "versions.json"
        provide_root_file_systems(matrix, tmp_path / "cache" / "smforge" / "rootfs")
        environment = {
            **own_engine.settings(os.environ),
            "SMFORGE_CA_BUNDLE": str(tmp_path / "ca.pem"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        settings = ("CACHE_FROM", "CACHE_TO", "SMFORGE_SCCACHE")
        values = {f"vars.{name}": "" for name in settings}
        values["vars.IMAGE_REPOSITORY"] = f"{registry}/team/small"
        document = yaml.safe_load(github(resolve(load(matrix)), choices))
        found = Walk(document["jobs"], checkout, tmp_path / "walk", values, environment)
        found.run()
        return found

    return walk


def test_from_the_plan_to_the_registry(walk: Callable[..., Walk], ask: Callable[..., Any]) -> None:
    done = walk()
    cell = f"{VARIANT}-linux-amd64"
    expected = dict.fromkeys(("plan", cell, "verdict", "index", "publish"), "success")
    assert done.results == expected, done.said["publish"]
    assert "## 1 cell" in done.summaries["plan"]
    assert f"| {VARIANT} linux/amd64 | image |" in done.summaries[cell]
    assert "## ✅" in done.summaries[cell]
    assert [file.name for file in done.scanned] == ["audit.sarif"]
    kept = done.artefacts
    assert [path.name for path in (kept / "wheel-index").rglob("*.whl")] == [WHEEL]
    assert not (kept / cell / "linux-amd64" / "image").exists()
    assert (kept / cell / "reports" / "linux-amd64" / "audit.xml").is_file()
    assert "<html" in (kept / cell / "logs" / "linux-amd64" / "audit.html").read_text()
    (tag,) = (one for one in ask("team/small/tags/list")["tags"] if "sha256" not in one)
    annotations = ask(f"team/small/manifests/{tag}")["annotations"]
    assert annotations["io.smforge.verdict"] == "pass"


def test_jobs_hand_over_through_a_store(
    walk: Callable[..., Walk], registry: str, ask: Callable[..., Any]
) -> None:
    """Nothing of what was built is an artefact of the CI system: the index and the push take it
    from the store."""
    done = walk(Choices(store=f"registry:{registry}/team/cells"))
    cell = f"{VARIANT}-linux-amd64"
    expected = dict.fromkeys(("plan", cell, "verdict", "index", "publish"), "success")
    assert done.results == expected, done.said
    kept = done.artefacts
    assert not list((kept / cell).rglob("*.whl"))
    assert (kept / cell / "reports" / "linux-amd64" / "audit.xml").is_file()
    assert [path.name for path in (kept / "wheel-index").rglob("*.whl")] == [WHEEL]
    (stored,) = ask("team/cells/tags/list")["tags"]
    assert stored.startswith(cell)
    (tag,) = (one for one in ask("team/small/tags/list")["tags"] if "sha256" not in one)
    assert ask(f"team/small/manifests/{tag}")["annotations"]["io.smforge.verdict"] == "pass"


def test_a_cell_that_lacks_a_device_stops_all_that_follows(
    walk: Callable[..., Walk], checkout: Path, ask: Callable[..., Any]
) -> None:
    document = json.loads((checkout / "versions.json").read_text())
    variant = document["variants"][VARIANT]
    variant["require"] = {"linux/amd64": ["12.0", "11.0"]}
    variant["components"]["flashinfer"]["archs"] = {"linux/amd64": ["11.0a", "12.0f"]}
    (checkout / "versions.json").write_text(json.dumps(document))
    done = walk()
    cell = f"{VARIANT}-linux-amd64"
    failed = {cell: "failure", "verdict": "failure", "index": "skipped", "publish": "skipped"}
    assert done.results == {"plan": "success", **failed}, done.said
    assert "## ❌" in done.summaries[cell]
    assert "11.0" in done.summaries[cell]
    assert [file.name for file in done.scanned] == ["audit.sarif"]
    rejected = done.artefacts / cell / "rejected" / "linux-amd64"
    assert (rejected / "REJECTED.txt").is_file()
    assert ask("_catalog") == {"repositories": []}
