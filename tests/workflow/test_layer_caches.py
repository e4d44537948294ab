"""Caches of layers at a real registry, in a folder, and behind an address where nothing answers."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from smforge.bake.host.layer_caches import LayerCaches
from smforge.plan.records import Cell
from smforge.workflow.building.build import Builder
from tests.spare_engine import SpareEngine

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine")]

MakeCell = Callable[..., Cell]
NOBODY = "127.0.0.1:1"


@pytest.fixture
def with_caches(builder: Builder) -> Callable[..., Builder]:
    """The builder with these settings in its environment."""

    def make(**environment: str) -> Builder:
        caches = LayerCaches.from_environment(environment)
        host = dataclasses.replace(builder.settings.host, caches=caches)
        return Builder(dataclasses.replace(builder.settings, host=host))

    return make


@pytest.mark.slow
def test_another_engine_takes_what_the_first_wrote_to_a_registry(
    with_caches: Callable[..., Builder],
    cell: MakeCell,
    serving: Callable[..., Any],
    start_spare_engine: Callable[[Path], SpareEngine],
    tmp_path: Path,
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    (tmp_path / "registry").mkdir()
    with serving(tmp_path / "registry") as address:
        cache = f"type=registry,ref={address}/layers"
        first = with_caches(CACHE_TO=cache).build(one)
        assert first.exit_code == 0
        with urllib.request.urlopen(f"http://{address}/v2/layers/tags/list", timeout=10) as answer:
            (tag,) = json.load(answer)["tags"]
        assert tag.endswith("-made-linux-amd64")
        start_spare_engine(tmp_path / "engine")
        second = with_caches(CACHE_FROM=cache).build(one, force=True)
    assert second.record is not None
    assert second.record.targets[0].cached_steps == 2


def test_a_folder_holds_a_cache_and_may_be_missing_at_first(
    with_caches: Callable[..., Builder], cell: MakeCell, tmp_path: Path
) -> None:
    kept = tmp_path / "layers"
    one = cell("made", TEXT=str(uuid4()))
    built = with_caches(
        CACHE_FROM=f"type=local,src={kept}", CACHE_TO=f"type=local,dest={kept}"
    ).build(one)
    assert built.exit_code == 0
    (entry,) = kept.iterdir()
    assert (entry / "index.json").is_file()


@pytest.mark.parametrize(
    "cache",
    [
        f"type=registry,ref={NOBODY}/layers",
        f"type=s3,bucket=layers,region=none,endpoint_url=http://{NOBODY},use_path_style=true",
    ],
)
def test_a_cache_that_nobody_answers_for_fails_no_build(
    with_caches: Callable[..., Builder],
    cell: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    cache: str,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    built = with_caches(CACHE_FROM=cache, CACHE_TO=cache).build(cell("made", TEXT=str(uuid4())))
    assert built.error is None
    assert built.exit_code == 0
