"""Two engines with states of their own build one matrix together, over a real registry."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.small_site import build_command, environment, make_site
from smforge.bake.host import own_engine
from smforge.bake.host.engine import inspect
from smforge.bake.record import RunRecord, parse_record
from smforge.errors import EngineUnavailableError
from smforge.workflow.farm.journal import last_run
from tests.engine_bridge import bridge
from tests.spare_engine import SpareEngine

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]
CELLS = ("one", "two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Farm:
    """Two builders, and the folder with buildx's list of them."""

    near: str
    """Where the session's engine is reached."""
    far: str
    config: Path

    def buildx(self, *words: str) -> None:
        subprocess.run(
            ("docker", "buildx", *words),
            env={**os.environ, "BUILDX_CONFIG": str(self.config)},
            check=True,
            capture_output=True,
        )


@pytest.fixture
def farm(
    start_spare_engine: Callable[[Path], SpareEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Farm]:
    """The builders ``near``, the session's engine, and ``far``, a new one; both as remote ones."""
    host = own_engine.settings(os.environ).get("DOCKER_HOST") or os.environ["DOCKER_HOST"]
    spare = start_spare_engine(tmp_path / "engine")
    monkeypatch.setenv("DOCKER_HOST", host)
    with (
        tempfile.TemporaryDirectory(prefix="smft-", dir="/tmp") as short,
        bridge(Path(short) / "near", Path(host.removeprefix("unix://"))) as near,
        bridge(Path(short) / "far", spare.socket) as far,
    ):
        found = Farm(near, far, tmp_path / "buildx")
        for name, address in (("near", near), ("far", far)):
            found.buildx("create", "--name", name, "--driver", "remote", address)
        monkeypatch.setenv("BUILDX_CONFIG", str(found.config))
        yield found


@pytest.fixture
def registry(serving: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with serving(folder) as host:
        yield host


@pytest.fixture
def site(tmp_path: Path, busybox: Path) -> Path:
    return make_site(tmp_path / "site", busybox, CELLS, "0.05")


def records(out: Path) -> dict[str, RunRecord]:
    files = out.glob("*/linux-amd64/record.json")
    return {path.parents[1].name: parse_record(path.read_bytes(), path) for path in files}


def steps(found: dict[str, RunRecord]) -> tuple[int, int]:
    """The complete steps of the cells, and how many of them came from a cache."""
    targets = [target for record in found.values() for target in record.targets]
    cached = sum(target.cached_steps or 0 for target in targets)
    return sum(target.completed_steps for target in targets), cached


def ran(out: Path) -> int:
    """How many cells ran the step that all share."""
    logs = out.glob("*/logs/linux-amd64/flashinfer-sm120f.log")
    return sum("] the same for all cells" in log.read_text() for log in logs)


def test_two_builders_make_what_one_makes_and_share_their_work(
    farm: Farm, site: Path, registry: str
) -> None:
    def build(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        # The sources are not asked, and the code is made by hand, as cuobjdump does not read it.
        return subprocess.run(
            build_command(*words),
            cwd=site,
            env={**environment(site), **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    cache = f"type=registry,ref={registry}/cache:layers"
    first = build("--shard", "1/2", "--builder", "near", "--out", "share1", CACHE_TO=cache)
    assert first.returncode == 0, first.stderr
    second = build("--shard", "2/2", "--builder", "far", "--out", "share2", CACHE_FROM=cache)
    assert second.returncode == 0, second.stderr
    only = tuple(word for name in CELLS for word in ("--only", name))
    alone = build(*only, "--out", "whole", "--jobs", "3", BUILDX_BUILDER="near")
    assert alone.returncode == 0, alone.stderr

    # Where each cell was built is what buildx says of every target that exports something.
    near, far = records(site / "share1"), records(site / "share2")
    assert len(near) == len(far) == 3
    assert {one.nodes for one in near.values()} == {("near/near0",)}
    assert {one.nodes for one in far.values()} == {("far/far0",)}
    assert {one.nodes for one in records(site / "whole").values()} == {("near/near0",)}
    # A remote builder does not say what its machine has, and this machine's cores do not count.
    assert {one.variables["MAX_JOBS"] for one in (near | far).values()} == {"1"}
    assert {one.variables["MAX_JOBS"] for one in records(site / "whole").values()} == {"3"}
    assert all("--builder=far" in one.command for one in far.values())

    # An engine that never built anything takes the step that all cells share from the registry.
    assert (ran(site / "share1"), ran(site / "share2")) == (1, 0)
    complete, cached = steps(far)
    assert 0 < cached < complete

    # Together they made what one builder made alone.
    merged = subprocess.run(
        (*build_command()[:3], "merge", "share1", "share2", "-o", "merged"),
        cwd=site, env=environment(site), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert merged.returncode == 0, merged.stderr
    assert "built by near/near0" in merged.stdout
    assert "built by far/far0" in merged.stdout
    assert (site / "merged/manifest.json").read_bytes() == (
        site / "whole/manifest.json"
    ).read_bytes()
    # Cells of several nodes in one directory: the summary says which built which.
    kept = build(*only, "--out", "merged", "--builder", "near")
    assert kept.returncode == 0, kept.stderr
    assert {word for word in kept.stdout.split() if "/" in word and "far" in word} == {"far/far0"}
    assert "near/near0" in kept.stdout
    assert "near/near0" not in alone.stdout
    drawn = subprocess.run(
        (*build_command()[:3], "timeline", "share2", "-o", "json"),
        cwd=site, env=environment(site), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [cell["nodes"] for cell in json.loads(drawn.stdout)["cells"]] == [["far/far0"]] * 3
    # What a resumed run needs to build on the same builder.
    assert last_run(site / "share2").begun.request.builder == "far"
    for name in CELLS:
        (wheel,) = (site / "merged" / name).rglob("*.whl")
        assert (
            wheel.read_bytes() == (site / "whole" / wheel.relative_to(site / "merged")).read_bytes()
        )


def test_nodes_of_one_builder_are_told_apart(farm: Farm, site: Path) -> None:
    farm.buildx(
        "create", "--name", "both", "--driver", "remote", "--platform", "linux/amd64", farm.near
    )
    farm.buildx("create", "--append", "--name", "both", "--platform", "linux/arm64", farm.far)
    found = inspect("both")
    assert [machine.node.name for machine in found.machines] == ["both0", "both1"]
    assert [machine.own_platform for machine in found.machines] == ["linux/amd64", "linux/arm64"]
    assert found.means("linux/arm64").known is False
    words = (*build_command()[:3], "doctor", "--builder", "both", "-o", "json")
    done = subprocess.run(
        words, cwd=site, env=environment(site), capture_output=True, text=True, check=False
    )
    checks = {one["id"]: one for one in json.loads(done.stdout)["checks"]}
    assert checks["engine"]["found"] == "not needed: remote builds elsewhere"
    assert checks["builder-nodes"]["found"].count("running") == 2
    assert "on all 2 nodes together" in checks["build-cache"]["found"]
    assert "unknown memory" in checks["memory"]["found"]
    assert "--jobs" in checks["memory"]["remedy"]
    # The session's engine and the new one have policies of their own.
    assert checks["build-cache-policy"]["found"].startswith("both0: ")


def test_a_builder_whose_node_is_away_is_named_before_anything_is_built(
    farm: Farm, tmp_path: Path
) -> None:
    farm.buildx("create", "--name", "away", "--driver", "remote", f"unix://{tmp_path}/none")
    with pytest.raises(
        EngineUnavailableError, match="No node of the builder 'away' answers: away0"
    ):
        inspect("away")
