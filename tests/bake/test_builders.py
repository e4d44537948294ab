"""The configuration of a builder, which buildx reads, and what is said of the present builder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from smforge.bake.host import own_engine
from smforge.bake.host.builders import (
    BuilderSettings,
    Rule,
    cache_sizes,
    configuration,
    find_builder,
)
from smforge.errors import UsageError

ROOT = Path(__file__).parents[2]


def test_the_file_says_mirrors_certificates_steps_and_what_is_kept() -> None:
    settings = BuilderSettings(
        mirrors={"docker.io": ("mirror.example:5000/hub", "plain.example")},
        plain_http=("plain.example",),
        ca_bundle=Path("/ca.pem"),
        steps=3,
        cache_gb=90,
        host_network=True,
    )
    document = tomllib.loads(configuration(settings))
    assert document["insecure-entitlements"] == ["network.host"]
    assert document["registry"] == {
        "docker.io": {"mirrors": ["mirror.example:5000/hub", "plain.example"], "ca": ["/ca.pem"]},
        "mirror.example:5000": {"ca": ["/ca.pem"]},
        "plain.example": {"http": True},
    }
    worker = document["worker"]["oci"]
    assert (worker["gc"], worker["max-parallelism"]) == (True, 3)
    contexts, layers, everything = worker["gcpolicy"]
    assert "type==source.local" in contexts["filters"]
    assert layers["filters"] == ["type!=exec.cachemount"]
    assert (layers["maxUsedSpace"], everything["maxUsedSpace"]) == ("60GB", "90GB")
    assert everything["all"] is True
    assert not any("why" in rule for rule in worker["gcpolicy"])


def test_without_settings_there_is_no_registry_and_no_entitlement() -> None:
    document = tomllib.loads(configuration(BuilderSettings(mirrors={})))
    assert set(document) == {"worker"}
    with pytest.raises(UsageError, match="too few"):
        configuration(BuilderSettings(mirrors={}, cache_gb=10))


@pytest.mark.parametrize(
    ("filters", "hours", "ends"),
    [
        (("type==source.local", "type==exec.cachemount"), 48, True),
        (("type!=exec.cachemount",), 48, False),
        (("type==exec.cachemount",), 0, False),
        (("type==exec.cachemount",), 24 * 60, False),
    ],
)
def test_a_rule_that_ends_compilations_soon_is_recognised(
    filters: tuple[str, ...], hours: int, ends: bool
) -> None:
    assert Rule(False, filters, hours * 3600.0, 0, 0, 0).ends_compilations is ends


def smforge(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with builders of its own: none of this machine's is touched."""
    environment = {
        **os.environ,
        **own_engine.settings(os.environ),
        "PYTHONPATH": str(ROOT / "builder"),
        "BUILDX_CONFIG": str(place / "buildx"),
        "SMFORGE_CA_BUNDLE": str(place / "ca.pem"),
    }
    command = (sys.executable, "-m", "smforge", *arguments)
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.engine
@pytest.mark.slow
def test_buildx_takes_the_file_and_has_the_builder_then(engine: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificates\n")
    init = ("builder", "init", "--name", "mine", "--mirror", "docker.io=mirror.invalid:5000")
    done = smforge(tmp_path, *init)
    assert done.returncode == 0, done.stderr
    assert "smforge build --builder mine" in done.stdout
    instance = json.loads((tmp_path / "buildx" / "instances" / "mine").read_text())
    # buildx has read the file, and takes the certificates along.
    files = instance["Nodes"][0]["Files"]
    assert set(files) == {
        "buildkitd.toml",
        "certs/docker.io/ca.pem",
        "certs/mirror.invalid_5000/ca.pem",
    }
    # The doctor shows the builder that a build would use, which is not started yet.
    document = json.loads(smforge(tmp_path, "doctor", "--builder", "mine", "-o", "json").stdout)
    checks = {one["id"]: one["found"] for one in document["checks"]}
    assert checks["builder-nodes"].startswith("mine0 (inactive")
    again = smforge(tmp_path, *init)
    assert again.returncode == 4
    assert "buildx does not create the builder" in again.stderr
    other = smforge(tmp_path, *init, "--steps", "4")
    assert other.returncode == 2
    assert "is there with another content" in other.stderr
    (tmp_path / "ca.pem").unlink()
    assert smforge(tmp_path, "builder", "init", "--mirror", "x").returncode == 2


@pytest.mark.engine
def test_the_present_builder_has_nodes_a_policy_and_a_cache(engine: str) -> None:
    found = find_builder()
    assert find_builder(found.name).driver == found.driver
    with pytest.raises(UsageError, match=r"no builder 'no-such-builder'.*'smforge builder init'"):
        find_builder("no-such-builder")
    assert any("linux/" in node.text for node in found.nodes)
    assert all(rule.text for node in found.nodes for rule in node.policy)
    sizes = cache_sizes(found.name)
    assert sizes is not None
    assert all(size[0].isdigit() and size.endswith("B") for size in sizes)
