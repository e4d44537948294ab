"""From a build to a registry: only what has passed, and all of it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from smforge.bake.inputs.rootfs import ARCHIVE, root_file_systems
from smforge.errors import EngineUnavailableError, InterruptedBuildError, UsageError
from smforge.oci.documents import digest_of
from smforge.oci.layout import LayoutFolder
from smforge.plan.records import Cell, PlannedImage
from smforge.workflow.building.build import Builder
from smforge.workflow.building.publishing import Publication, publish_all, require_publishable
from smforge.workflow.building.results import Built
from smforge.workflow.farm.stores.naming import beside, open_store

pytestmark = [pytest.mark.engine, pytest.mark.network]

AuditSays = Callable[[str], None]


@pytest.fixture
def registry(serving: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path) as host:
        yield host


def ask(registry: str, path: str) -> Any:
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    answer = urllib3.request("GET", f"http://{registry}/v2/{path}", headers=accept)
    return json.loads(answer.data)


@pytest.fixture
def image_cell(cell: Callable[..., Cell]) -> Cell:
    """A cell whose one target is an image with content of its own."""
    variables = {"TEXT": str(uuid4()), "SOURCE_DATE_EPOCH": "1700000000"}
    image = PlannedImage(f"smforge-test/{uuid4().hex}", "1.0", "root")
    plain = cell("image", **variables)
    base = dataclasses.replace(plain.base, kind="packages", suite="trixie")
    return dataclasses.replace(plain, image=image, base=base)


@pytest.fixture
def builder_with_roots(
    changed: Callable[..., Builder], image_cell: Cell, tmp_path: Path
) -> Builder:
    """A builder that has the root file systems, which the definition makes no use of."""
    store = tmp_path / "rootfs"
    for rootfs in root_file_systems(image_cell).values():
        (store / rootfs.directory_name).mkdir(parents=True)
        (store / rootfs.directory_name / ARCHIVE).touch()
    return changed(rootfs_store=store)


def publication(registry: str, load: bool = False) -> Publication:
    return Publication(load, f"{registry}/team/image", Path("/nowhere"), lambda _text: None)


def images_in_engine(cell: Cell) -> str:
    assert cell.image is not None
    command = ("docker", "image", "ls", "--quiet", cell.image.name)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def published(built: Built, registry: str, platforms: int = 1) -> Any:
    done, errors = publish_all((built,), {built.cell.variant: platforms}, publication(registry))
    assert errors == ()
    return done


def test_what_has_passed_is_finished_recorded_and_pushed(
    builder_with_roots: Builder, image_cell: Cell, registry: str
) -> None:
    built = builder_with_roots.build(image_cell)
    assert built.exit_code == 0, built.error
    interrupted = dataclasses.replace(built, error=InterruptedBuildError("Stopped."))
    platforms = {image_cell.variant: 1}
    assert publish_all((built, interrupted), platforms, publication(registry)) == ((), ())
    assert ask(registry, "_catalog") == {"repositories": []}
    (done,) = published(built, registry)
    index = ask(registry, "team/image/manifests/1.0")
    report = (built.paths.final / "audit.json").read_bytes()
    assert index["annotations"] == {
        "io.smforge.report.digest": digest_of(report),
        "io.smforge.verdict": "pass",
        "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
    }
    assert done.pushed == f"{registry}/team/image:1.0"
    assert done.digest == LayoutFolder(built.paths.final / "image").roots()[0].digest
    # The record is that of the finished layout: it is up to date, and is published all the same.
    again = builder_with_roots.build(image_cell)
    assert again.up_to_date
    (later,) = published(again, registry, platforms=2)
    assert (later.pushed, later.sent) == (f"{registry}/team/image:1.0-amd64", 0)


def test_a_registry_keeps_the_blobs_of_a_stored_and_pushed_image_once(
    builder_with_roots: Builder, image_cell: Cell, registry: str, tmp_path: Path
) -> None:
    built = builder_with_roots.build(image_cell)
    settings, record = builder_with_roots.settings, built.record
    assert record is not None
    name = f"registry:{registry}/team/cells"
    store = open_store(name, Path("/nowhere"), lambda _text: None)
    said = store.keep(settings, image_cell, record, built.paths)
    assert said is not None
    assert said.startswith(f"stored in {name}, ")
    wanted = publication(registry)
    wanted = dataclasses.replace(wanted, mount_from=beside(f"{registry}/team/image", [name]))
    (done,), errors = publish_all((built,), {image_cell.variant: 1}, wanted)
    assert (done.sent, errors) == (0, ())
    fetched = tmp_path / "fetched"
    assert store.fetch(settings, image_cell, record.inputs, fetched) == record
    files = [
        {path.relative_to(one): path.read_bytes() for path in one.rglob("*") if path.is_file()}
        for one in (fetched, built.paths.final)
    ]
    assert files[0] == files[1]
    assert Path("image/index.json") in files[0]


@pytest.mark.parametrize(("verdict", "code"), [("fail", 1), ("nothing", 3), ("undetermined", 4)])
def test_what_was_rejected_is_neither_tagged_nor_pushed(  # noqa: PLR0917 - fixtures
    verdict: str,
    code: int,
    builder_with_roots: Builder,
    image_cell: Cell,
    registry: str,
    audit_says: AuditSays,
) -> None:
    audit_says(verdict)
    built = builder_with_roots.build(image_cell)
    assert built.exit_code == code
    wanted = publication(registry, load=True)
    assert publish_all((built,), {image_cell.variant: 1}, wanted) == ((), ())
    assert ask(registry, "_catalog") == {"repositories": []}
    assert images_in_engine(image_cell) == ""
    # Nor does it carry anything that calls it good.
    roots = LayoutFolder(built.paths.rejected / "image").roots()
    assert len(roots) == 1
    assert b"io.smforge" not in LayoutFolder(built.paths.rejected / "image").document(roots[0])


def test_a_registry_that_is_gone_fails_that_image_alone(
    builder_with_roots: Builder, image_cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smforge.oci.transport.LONGEST_PAUSE_SECONDS", 0.01)
    built = builder_with_roots.build(image_cell)
    done, (error,) = publish_all((built,), {image_cell.variant: 1}, publication("127.0.0.1:1"))
    assert done == ()
    assert error.exit_code == 4
    assert "127.0.0.1:1 cannot be reached" in str(error)


def test_what_could_not_be_published_is_refused_before_the_build(image_cell: Cell) -> None:
    wanted = publication("registry.example")
    require_publishable((image_cell,), wanted)
    wheels_only = dataclasses.replace(image_cell, image=None)
    with pytest.raises(UsageError, match="no image, so there is nothing to load or push"):
        require_publishable((image_cell, wheels_only), wanted)
    unwanted = dataclasses.replace(wanted, repository=None)
    require_publishable((wheels_only,), unwanted)
    for wrong in ("registry.example/team:tag", "team/image", "registry.example/Team"):
        with pytest.raises(UsageError, match="is not a repository of a registry"):
            require_publishable((image_cell,), dataclasses.replace(wanted, repository=wrong))


def test_images_are_loaded_into_an_engine_that_answers_or_nothing_is_built(
    image_cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    loading = dataclasses.replace(publication("registry.example"), load=True)
    with pytest.raises(EngineUnavailableError, match=r"none\.sock, and none answers.*--push"):
        require_publishable((image_cell,), loading)
