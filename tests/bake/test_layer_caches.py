"""The caches of layers that CACHE_FROM and CACHE_TO name, as each bake target gets them."""

from __future__ import annotations

import pytest

from smforge.bake.host.layer_caches import LayerCaches, entries_of
from smforge.errors import UsageError

CANARY = "c4n4ry"
DEFAULTS = "mode=max,ignore-error=true"


def both(text: str) -> dict[str, list[str]]:
    """What the target `wheel` gets where both variables have this text."""
    found = LayerCaches.from_environment({"CACHE_FROM": text, "CACHE_TO": text})
    return found.of_targets({"wheel": "cu130-wheel"})["wheel"]


@pytest.mark.parametrize(
    ("text", "read", "written"),
    [
        (
            "type=registry,ref=host:5000/team/layers",
            "type=registry,ref=host:5000/team/layers:cu130-wheel",
            f"{DEFAULTS},compression=zstd,type=registry,ref=host:5000/team/layers:cu130-wheel",
        ),
        (
            "type=registry,ref=host:5000/layers:main,mode=min",
            "type=registry,ref=host:5000/layers:main-cu130-wheel,mode=min",
            "mode=min,ignore-error=true,compression=zstd,type=registry,"
            "ref=host:5000/layers:main-cu130-wheel",
        ),
        (
            "type=s3,bucket=layers,region=eu-central-1",
            "type=s3,bucket=layers,region=eu-central-1,name=cu130-wheel",
            f"{DEFAULTS},type=s3,bucket=layers,region=eu-central-1,name=cu130-wheel",
        ),
        (
            "type=gha,scope=night",
            "type=gha,scope=night-cu130-wheel",
            f"{DEFAULTS},type=gha,scope=night-cu130-wheel",
        ),
    ],
)
def test_each_target_has_an_entry_of_its_own_and_exports_all_and_fails_nothing(
    text: str, read: str, written: str
) -> None:
    assert both(text) == {"cache-from": [read], "cache-to": [written]}


def test_several_caches_are_read_in_their_order() -> None:
    text = "type=local,src=/mnt/layers type=registry,ref=host/layers"
    caches = LayerCaches.from_environment({"CACHE_FROM": text})
    assert caches.of_targets({"a": "x-a"}) == {
        "a": {"cache-from": ["type=local,src=/mnt/layers/x-a", "type=registry,ref=host/layers:x-a"]}
    }
    assert [str(one) for one in caches.folders_read] == ["/mnt/layers"]


@pytest.mark.parametrize("environment", [{}, {"CACHE_FROM": "", "CACHE_TO": ""}])
def test_without_settings_no_target_has_a_cache(environment: dict[str, str]) -> None:
    assert LayerCaches.from_environment(environment).of_targets({"a": "x"}) == {}


def test_a_builder_gets_the_kinds_that_its_driver_knows() -> None:
    text = "type=registry,ref=host/layers type=s3,bucket=b"
    caches = LayerCaches.from_environment({"CACHE_FROM": text, "CACHE_TO": text})
    assert caches.for_driver("kubernetes") == caches
    docker = caches.for_driver("docker")
    assert [one.kind for one in docker.read + docker.written] == ["registry", "registry"]
    old = caches.for_driver("docker without containerd's image store")
    assert ([one.kind for one in old.read], old.written) == (["registry"], ())


def test_images_are_kept_by_variant_and_what_variants_share_by_toolkit() -> None:
    assert entries_of(("base", "image"), "linux/arm64", "cu130", "cu130-spark") == {
        "base": "cu130-base-linux-arm64",
        "image": "cu130-spark-image-linux-arm64",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CANARY, "without a type"),
        (f"type=inline,ref={CANARY}", "without a type"),
        (f"type=registry,mode={CANARY}", "without ref"),
        (f"type=registry,ref=host/{CANARY}@sha256:00", "digest"),
        (f"type=s3,bucket=b,secret_access_key={CANARY}", "secret_access_key"),
        (f"type=gha,token={CANARY}", "token"),
    ],
)
@pytest.mark.parametrize("setting", ["CACHE_FROM", "CACHE_TO"])
def test_what_cannot_work_or_would_be_shown_is_refused_without_its_value(
    setting: str, text: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        LayerCaches.from_environment({setting: text})
    assert setting in caught.value.message
    assert CANARY not in f"{caught.value.message}{caught.value.remedy}"
