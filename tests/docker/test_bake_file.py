"""docker-bake.hcl resolves as the plan expects, and BuildKit's own checks pass."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smforge.bake.host import own_engine
from smforge.matrix.load import load
from smforge.plan.resolve import resolve

ROOT = Path(__file__).parents[2]


def bake(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    files = ("-f", "docker-bake.hcl", "-f", "versions.json")
    return subprocess.run(
        ("docker", "buildx", "bake", *files, *arguments),
        cwd=ROOT,
        env={**os.environ, **own_engine.settings(os.environ), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def resolved(*targets: str, **variables: str) -> dict[str, Any]:
    done = bake("--print", *targets, **{"BUILD_NETWORK": "default", **variables})
    assert done.returncode == 0, done.stderr
    definition: dict[str, Any] = json.loads(done.stdout)
    return definition


def test_an_architecture_is_a_target_with_an_output_of_its_own() -> None:
    targets = resolved("flashinfer", FLASHINFER_ARCHS="10.3a 12.0f", OUT_DIR="/o")["target"]
    for arch, name in (("10.3a", "flashinfer-sm103a"), ("12.0f", "flashinfer-sm120f")):
        assert targets[name]["args"]["ARCH"] == arch
        assert targets[name]["output"] == [{"type": "local", "dest": f"/o/{name}"}]
    assert targets["flashinfer-shim"]["args"]["ARCHS"] == "10.3a 12.0f"
    crossed = resolved("flashinfer-shim", FLASHINFER_ARCHS="12.1a", CROSS_CPU="aarch64")
    assert crossed["target"]["flashinfer-shim"]["args"]["CROSS_CPU"] == "aarch64"


@pytest.mark.slow
def test_every_target_of_the_plan_exists() -> None:
    for cell in resolve(load(ROOT / "versions.json")).cells:
        definition = resolved(*cell.targets, **cell.variables)
        assert set(cell.targets) <= set(definition["target"]), cell.variant


def test_the_defaults_in_both_files_are_variables_of_the_bake_file() -> None:
    done = bake("--list=type=variables,format=json")
    assert done.returncode == 0, done.stderr
    declared = {variable["name"] for variable in json.loads(done.stdout)}
    assert set(json.loads((ROOT / "versions.json").read_text())["variable"]) <= declared


def test_a_scanner_is_used_where_one_is_named() -> None:
    def attested(**variables: str) -> list[str]:
        attest = resolved("image", **variables)["target"]["image"]["attest"]
        return [one["type"] for one in attest]

    assert attested() == ["provenance"]
    assert attested(SBOM_SCANNER="registry.example/scanner:1") == ["provenance", "sbom"]


def test_the_base_is_chosen_by_one_variable() -> None:
    root = resolved("base")["target"]["base"]["contexts"]["root"]
    assert root == "target:root"
    image = "example.invalid/cuda@sha256:0"
    registry = resolved("base", BASE_KIND="registry", BASE_IMAGE=image)["target"]["base"]
    assert registry["contexts"]["root"] == f"docker-image://{image}"


def test_certificates_and_pip_settings_are_secrets_and_only_when_given(tmp_path: Path) -> None:
    plain = resolved("base")["target"]["base"]
    assert "secret" not in plain
    given = {"CA_BUNDLE": "ca.pem", "PIP_CONFIG": "pip.conf"}
    for name, file in given.items():
        (tmp_path / file).touch()
        given[name] = str(tmp_path / file)
    base = resolved(f"--allow=fs.read={tmp_path}", "base", **given)["target"]["base"]
    assert {one["id"]: one["src"] for one in base["secret"]} == {
        "ca": given["CA_BUNDLE"],
        "pip": given["PIP_CONFIG"],
    }
    assert base["args"] == plain["args"]


def test_proxies_are_arguments_of_every_target_and_only_when_given() -> None:
    def arguments(**variables: str) -> dict[str, str]:
        targets = resolved("flashinfer-shim", **variables)["target"]
        found = [
            {name: value for name, value in target["args"].items() if name.endswith("_PROXY")}
            for target in targets.values()
        ]
        assert all(one == found[0] for one in found)
        return found[0]

    assert arguments() == {}
    assert arguments(PROXY_HTTPS="http://p:1", PROXY_NONE="h") == {
        "HTTPS_PROXY": "http://p:1",
        "NO_PROXY": "h",
    }


@pytest.mark.engine
def test_buildkit_finds_nothing_to_warn_of() -> None:
    done = bake("--allow=network.host", "validate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Check complete, no warnings found.") == len(
        resolved("validate")["group"]["validate"]["targets"]
    )
