"""Stores of results, a directory and a real registry: what is handed in, taken, refused, merged."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import urllib3

from benchmarks.small_site import build_command, environment
from smforge.oci.documents import MANIFEST

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]
NOT_A_RESULT = b'{"schemaVersion":2,"mediaType":"%s"}'


@pytest.fixture(autouse=True)
def _engine_answers(engine: str) -> None:
    """Every test here needs it."""


@pytest.fixture
def registry(serving: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with serving(folder) as host:
        yield host


@pytest.fixture(params=["registry", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of an empty store."""
    if request.param == "directory":
        return str(tmp_path / "store")
    return f"registry:{request.getfixturevalue('registry')}/team/cells"


def loud(*arguments: str) -> list[str]:
    return [word for word in build_command(*arguments) if word != "--quiet"]


def without_engine(patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def merge_command(*sources: str, out: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "smforge", "merge", "--preflight", "off", *sources, "-o", out)


def files_below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def get(registry: str, path: str) -> Any:
    headers = {"Accept": MANIFEST}
    answer = urllib3.request("GET", f"http://{registry}/v2/{path}", headers=headers)
    return json.loads(answer.data)


def test_what_one_machine_stores_another_takes_without_an_engine(
    site: Path, run: Run, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(loud("one", "two", "--out", "there", "--store", store))
    assert first.returncode == 0, first.stderr
    assert "one linux/amd64 is stored in " in first.stderr
    # What is there already is not sent again.
    again = run(loud("one", "two", "--out", "there", "--store", store))
    assert again.returncode == 0
    assert "is stored in" not in again.stderr
    with monkeypatch.context() as patch:
        without_engine(patch, tmp_path)
        taken = run(loud("one", "two", "--out", "here", "--reuse", store))
        explained = run(build_command("--explain", "one", "--out", "no", "--reuse", store))
        merged = run(merge_command(store, "--only", "one", "--only", "two", out="all"))
    assert taken.returncode == 0, taken.stderr
    assert taken.stderr.count("linux/amd64 is taken from ") == 2
    here, there = site / "here", site / "there"
    assert (here / "manifest.json").read_bytes() == (there / "manifest.json").read_bytes()
    assert files_below(here / "one/linux-amd64") == files_below(there / "one/linux-amd64")
    assert "one linux/amd64: would be taken" in explained.stdout
    assert "has a result of these inputs, of " in explained.stdout
    assert merged.returncode == 0, merged.stderr
    assert (site / "all/manifest.json").read_bytes() == (there / "manifest.json").read_bytes()


def test_the_input_is_named_that_differs_from_the_nearest_stored_result(
    site: Path, run: Run, store: str
) -> None:
    notes = site / "docker" / "notes"
    assert run(build_command("one", "--store", store)).returncode == 0
    notes.write_text("Another input.\n")
    (site / "docker" / "more").write_text("")
    explained = run(
        build_command("--explain", "one", "--out", "no", "--reuse", store, "-o", "json")
    )
    (cell,) = json.loads(explained.stdout)["cells"]
    ((stored,)) = cell["stores"]
    assert stored["taken"] is False
    assert "and it is not taken:" in stored["lines"][0]
    assert stored["lines"][1:] == ["docker/more is new.", "docker/notes changed."]
    other = run(build_command("--explain", "two", "--out", "no", "--reuse", store))
    assert "has no result of it." in other.stdout
    built = run(loud("one", "--reuse", store, "--store", store))
    assert built.returncode == 0
    assert "is taken" not in built.stderr
    # The nearest is that with the fewest other inputs, not the last one.
    if store.startswith("registry:"):
        (site / "docker" / "more").unlink()
        nearer = run(build_command("--explain", "one", "--out", "no", "--reuse", store))
        assert "docker/more is gone." in nearer.stdout or "docker/notes changed." in nearer.stdout


def test_a_stored_result_is_an_artefact_as_oras_reads_them(
    site: Path, run: Run, registry: str
) -> None:
    assert run(build_command("one", "--store", f"registry:{registry}/cells")).returncode == 0
    (tag,) = get(registry, "cells/tags/list")["tags"]
    record = json.loads((site / "out/one/linux-amd64/record.json").read_text())
    assert tag == f"one-linux-amd64-{record['inputs_sha256'][:40]}"
    manifest = get(registry, f"cells/manifests/{tag}")
    assert manifest["artifactType"] == "application/vnd.smforge.cell.v1"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    digests = {
        layer["annotations"]["org.opencontainers.image.title"]: layer["digest"]
        for layer in manifest["layers"]
    }
    assert digests == {
        name: f"sha256:{hashlib.sha256(data).hexdigest()}"
        for name, data in files_below(site / "out/one/linux-amd64").items()
    }


@pytest.mark.parametrize("damage", ["blob", "manifest", "other cell", "no cell"])
def test_wrong_bytes_of_a_registry_are_never_taken(
    site: Path, run: Run, registry: str, tmp_path: Path, damage: str
) -> None:
    store = f"registry:{registry}/cells"
    assert run(build_command("one", "two", "--store", store)).returncode == 0
    tags = {one.partition("-")[0]: one for one in get(registry, "cells/tags/list")["tags"]}
    manifest = get(registry, f"cells/manifests/{tags['one']}")
    if damage == "blob":
        # As a disk damages it: the registry still serves it under its digest.
        (wheel,) = (
            one for one in manifest["layers"] if one["size"] > 0 and _title(one)[-4:] == ".whl"
        )
        digest = wheel["digest"].removeprefix("sha256:")
        blob = (
            tmp_path / f"registry/data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        )
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        changed = {
            "manifest": lambda: _with_other_wheel(manifest),
            "other cell": lambda: get(registry, f"cells/manifests/{tags['two']}"),
            "no cell": lambda: {**manifest, "artifactType": "application/vnd.example"},
        }[damage]()
        url = f"http://{registry}/v2/cells/manifests/{tags['one']}"
        answer = urllib3.request(
            "PUT", url, body=json.dumps(changed), headers={"Content-Type": MANIFEST}
        )
        assert answer.status == 201, answer.data
    done = run(loud("one", "--out", "here", "--reuse", store))
    assert done.returncode == 0, done.stderr
    assert "one linux/amd64 is not taken: " in done.stderr
    assert "is taken from" not in done.stderr
    assert done.stdout.count("built: ") == 1
    same = (site / "here/one/linux-amd64", site / "out/one/linux-amd64")
    wheels = [{n: d for n, d in files_below(one).items() if n.endswith(".whl")} for one in same]
    assert wheels[0] == wheels[1] != {}


def _title(layer: dict[str, Any]) -> str:
    return str(layer["annotations"]["org.opencontainers.image.title"])


def _with_other_wheel(manifest: dict[str, Any]) -> dict[str, Any]:
    """The record's blob in place of a wheel's."""
    (record,) = (one for one in manifest["layers"] if _title(one) == "record.json")
    layers = [
        {**record, "annotations": one["annotations"]} if _title(one).endswith(".whl") else one
        for one in manifest["layers"]
    ]
    return {**manifest, "layers": layers}


def test_a_store_that_does_not_answer_is_said_and_the_cell_is_built(site: Path, run: Run) -> None:
    nowhere = "registry:127.0.0.1:1/cells"
    built = run(loud("one", "two", "--reuse", nowhere))
    assert built.returncode == 0, built.stderr
    # It is asked once in a run.
    assert built.stderr.count("is not taken: 127.0.0.1:1 cannot be reached") == 1
    unstored = run(build_command("one", "--store", nowhere))
    assert unstored.returncode == 4
    assert f"one linux/amd64 is not stored in {nowhere}: 127.0.0.1:1 cannot" in unstored.stderr
    assert json.loads((site / "out/manifest.json").read_text())["cells"][0]["result"] == "passed"
    merged = run(merge_command(nowhere, out="all"))
    assert merged.returncode == 4
    assert not (site / "all").exists()
    assert run(build_command("one", "--reuse", "registry:nothing")).returncode == 2


def test_shares_meet_in_a_registry_and_nothing_else(
    site: Path, run: Run, registry: str, tmp_path: Path
) -> None:
    store = f"registry:{registry}/cells"
    assert run(build_command("one", "two", "three", "--out", "whole")).returncode == 0
    lacking = run(merge_command(store, out="joined"))
    assert lacking.returncode == 1, lacking.stderr
    assert "No store has a verified result of one-linux-amd64, " in lacking.stderr
    for share in ("1/2", "2/2"):
        assert (
            run(build_command("--shard", share, "--out", share[0], "--store", store)).returncode
            == 0
        )
    shutil.rmtree(site / "1")
    shutil.rmtree(site / "2")
    done = run(merge_command(store, out="joined"))
    assert done.returncode == 0, done.stderr
    assert f"from {store} (" in done.stdout
    manifests = [(site / name / "manifest.json").read_bytes() for name in ("whole", "joined")]
    assert manifests[0] == manifests[1]
    assert not list(site.glob(".joined*"))


def test_two_runs_that_store_the_same_cells_at_once_both_end_well(
    site: Path, run: Run, store: str
) -> None:
    commands = [build_command("one", "two", "--out", out, "--store", store) for out in ("a", "b")]
    both = [
        subprocess.Popen(
            one, cwd=site, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for one in commands
    ]
    ends = [(one.communicate()[0].decode(), one.returncode) for one in both]
    assert [code for _, code in ends] == [0, 0], ends
    taken = run(loud("one", "two", "--out", "c", "--reuse", store))
    assert taken.returncode == 0
    assert taken.stderr.count("is taken from ") == 2
    manifests = {(site / name / "manifest.json").read_bytes() for name in "abc"}
    assert len(manifests) == 1
