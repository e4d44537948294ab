"""The published schema says what the models say, and editors find it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from smforge.matrix.schema import SCHEMA_FILE, keys_at, render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return content


def test_the_published_schema_is_that_of_the_models() -> None:
    assert SCHEMA_FILE.read_text() == render(), "run python -m smforge.matrix.schema"


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_matrix_names_the_schema_and_agrees_with_it(
    schema: dict[str, Any], document: dict[str, Any]
) -> None:
    assert (ROOT / document["$schema"]).samefile(SCHEMA_FILE)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["extra"], 1),
        (["variants", "x", "components", "flashinfer", "archs", "linux/amd64"], []),
        (["variants", "x", "require", "windows"], ["12.0"]),
        (["sources", "vllm", "files", "vllm-0.33.0.tar.gz"], "0"),
        (["variants", "x", "components", "flashinfer", "selection"], "most"),
    ],
)
def test_an_editor_sees_the_mistakes_too(
    schema: dict[str, Any], small: dict[str, Any], path: list[str], value: Any
) -> None:
    node = small
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(small)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (("sources", "nixl", "12"), ["distribution", "version", "torch", "files", "dispatcher"]),
        (("toolkits", "13.0", "bases", "any", "[RegistryBase]"), ["image", "digest"]),
        (("toolkits", "13.0", "bases", "any", "[PackagesBase]"), ["suite", "packages"]),
        (("variants", "x", "components", "nixl"), []),
        (("no", "such", "place"), []),
        (("variants", 0), []),
    ],
)
def test_the_keys_that_a_place_has(path: tuple[str | int, ...], keys: list[str]) -> None:
    assert keys_at(path) == keys
