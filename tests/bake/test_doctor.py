"""``smforge doctor``: what it finds on a bare host and on one with an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.bake.host.doctor import CHECKS, Host, can_build, examine
from smforge.bake.host.doctor_report import render_table
from smforge.bake.host.findings import Finding, State
from smforge.errors import ToolError

ROOT = Path(__file__).parents[2]


def doctor(
    *arguments: str, out: Path, **environment: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, str]]]:
    done = subprocess.run(
        (sys.executable, "-m", "smforge", "doctor", "--out", str(out), "-o", "json", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    return done, {check["id"]: check for check in document["checks"]}


def test_a_bare_host_is_told_what_to_do_about_each_thing(tmp_path: Path) -> None:
    done, checks = doctor(
        out=tmp_path, PATH="/nonexistent", HOME=str(tmp_path), SMFORGE_STATE=str(tmp_path)
    )
    assert done.returncode == 1
    assert done.stderr == ""
    assert json.loads(done.stdout)["can_build"] is False
    lacking = {name: one for name, one in checks.items() if one["state"] == "lacking"}
    assert {"docker-client", "buildx", "engine"} <= set(lacking)
    assert all(one["remedy"] for one in lacking.values())


def test_no_engine_on_the_socket_is_lacking_with_its_address(tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    done, checks = doctor(out=tmp_path, DOCKER_HOST=socket)
    assert done.returncode == 1
    assert checks["engine"]["state"] == "lacking"
    assert socket in checks["engine"]["found"]


@pytest.mark.engine
def test_a_host_with_an_engine_can_build(engine: str, tmp_path: Path) -> None:
    _, checks = doctor(out=tmp_path)
    assert checks["engine"]["state"] == "ok"
    assert engine in checks["engine"]["found"]
    assert "linux/" in checks["builder"]["found"]
    # How much space there is belongs to the machine, not to the test.
    fixed = {name for name in checks if not name.endswith("-disk") and name != "memory"}
    assert [name for name in fixed if checks[name]["state"] == "lacking"] == []


def test_ids_are_unique_kebab_case_and_documented_by_their_remedies(tmp_path: Path) -> None:
    def no_cuobjdump() -> str:
        raise ToolError("There is none.", remedy="Install it.")

    findings = examine(Host(tmp_path, no_cuobjdump))
    ids = [finding.id for finding in findings]
    assert len(ids) == len(set(ids)) == len(CHECKS)
    assert all(name == name.lower() and " " not in name and "_" not in name for name in ids)
    by_id = {finding.id: finding for finding in findings}
    assert by_id["cuobjdump"] == Finding(
        "cuobjdump", State.LACKING, "There is none.", "Install it."
    )


def test_the_table_names_what_keeps_a_build_from_running() -> None:
    findings = (
        Finding("engine", State.LACKING, "none", "Start it."),
        Finding("nvcc", State.OPTIONAL, "none"),
    )
    text = render_table(findings, width=80, color=False)
    assert "→ Start it." in text
    assert text.endswith("A build cannot run: engine. An audit needs none of this.")
    assert not can_build(findings)
    assert can_build(findings[1:])
