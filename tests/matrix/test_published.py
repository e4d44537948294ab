"""Components that are taken as published: which keys they have, and which wheel they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from smforge.matrix.load import parse
from smforge.matrix.wheels import installs, wheel_for

Lines = Callable[[Any], list[str]]
WHERE = "$.variants.x.components.vllm"
X86 = "vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl"


@pytest.fixture
def published(small: dict[str, Any]) -> dict[str, Any]:
    """A matrix whose one variant takes vLLM as published."""
    small["variants"]["x"]["components"]["vllm"] = {"from": "published"}
    return small


def vllm(document: dict[str, Any]) -> dict[str, Any]:
    component: dict[str, Any] = document["variants"]["x"]["components"]["vllm"]
    return component


def test_the_devices_are_those_that_are_required(published: dict[str, Any]) -> None:
    component = parse(json.dumps(published).encode()).variants["x"].components.vllm
    assert component is not None
    assert (component.from_, component.archs, component.repair) == ("published", None, None)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (
            "archs",
            {"linux/amd64": ["12.1a"]},
            "the devices of a published wheel are those in require",
        ),
        ("extensions", ["_moe_C"], "a published wheel is not compiled"),
        ("stand_ins", ["cutlass"], "a published wheel is not compiled"),
    ],
)
def test_a_key_of_a_compilation_is_refused(
    published: dict[str, Any], lines: Lines, key: str, value: object, reason: str
) -> None:
    vllm(published)[key] = value
    assert lines(published) == [
        f'{WHERE}.{key}: {reason}. Take this out, or write "from": "source".'
    ]


def test_a_compilation_needs_lists(published: dict[str, Any], lines: Lines) -> None:
    vllm(published)["from"] = "source"
    vllm(published)["repair"] = True
    assert lines(published) == [
        f'{WHERE}.archs: this is missing. Add it, or take the wheel of the index: "from": '
        '"published".',
        f'{WHERE}.repair: only a published wheel is repaired. Take it out, or write "from": '
        '"published".',
    ]


def test_each_platform_needs_a_wheel(published: dict[str, Any], lines: Lines) -> None:
    del published["sources"]["vllm"]["files"][X86]
    assert lines(published) == [
        f"{WHERE}: none of the files of vllm 0.33.0 is a wheel for linux/amd64 and for Python "
        '3.13. Add its name and SHA-256 to the files, or write "from": "source".'
    ]


@pytest.mark.parametrize(
    ("file", "python", "fits"),
    [
        (X86, "3.13", True),
        (X86, None, True),
        ("lmcache-0.5.6-cp313-cp313-manylinux_2_28_x86_64.whl", "3.13", True),
        ("lmcache-0.5.6-cp313-cp313-manylinux_2_28_x86_64.whl", "3.12", False),
        ("lmcache-0.5.6-cp313-cp313-manylinux_2_28_x86_64.whl", None, False),
        ("nixl-1.5.1-py3-none-any.whl", "3.11", True),
        ("vllm-0.33.0.tar.gz", "3.13", False),
    ],
)
def test_which_python_a_wheel_is_for(file: str, python: str | None, fits: bool) -> None:
    assert installs(file, python) is fits


def test_a_wheel_is_chosen_by_its_platform() -> None:
    files = {
        f"lmcache-0.5.6-{tag}-manylinux_2_28_{cpu}.whl": ""
        for tag in ("cp312-cp312", "cp313-cp313")
        for cpu in ("x86_64", "aarch64")
    }
    found = {name: wheel_for(files, name, "3.13") for name in ("linux/amd64", "linux/arm64")}
    assert [str(file)[14:25] for file in found.values()] == ["cp313-cp313", "cp313-cp313"]
    assert str(found["linux/arm64"]).endswith("aarch64.whl")
    assert wheel_for(files, "linux/amd64", "3.9") is None
