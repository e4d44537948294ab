"""Reading the file: where a mistake is, and that one reading finds them all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import ConfigurationError, SeveralProblemsError
from smforge.matrix.load import load, parse

Lines = Callable[[Any], list[str]]
VERSIONS = Path(__file__).parents[2] / "versions.json"


def refusal(tmp_path: Path, data: bytes) -> ConfigurationError:
    file = tmp_path / "m.json"
    file.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    found = caught.value
    assert all(one.remedy for one in getattr(found, "problems", (found,)))
    return caught.value


def test_loads_the_file_and_its_digest() -> None:
    matrix = load(VERSIONS)
    assert matrix.sha256 == hashlib.sha256(VERSIONS.read_bytes()).hexdigest()
    assert matrix.document.default in matrix.document.variants


def test_the_default_is_versions_json_of_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"There is no versions\.json"):
        load()
    (tmp_path / "versions.json").write_bytes(VERSIONS.read_bytes())
    assert load().path == Path("versions.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1, column 1: Expecting value"),
        (b'{"default": "x",\n  "variants" {}}', "line 2, column 14: Expecting ':' delimiter"),
        (b'{"default": "x"} {}', "line 1, column 18: Extra data"),
        (b'{"default": "\xff"}', "byte 13 is not UTF-8"),
        (b'{"default": "a", "default": "b"}', "has the key 'default' twice"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"source_date_epoch": 1' + b"0" * 5000 + b"}", "not usable JSON"),
        (b"[]", "$: input should be an object"),
        (b'{"default": "\\ud800"}', "invalid JSON"),
        (b" " * ((1 << 20) + 1), "larger than 1 MiB"),
    ],
)
def test_an_unreadable_file(tmp_path: Path, data: bytes, message: str) -> None:
    error = refusal(tmp_path, data)
    assert all(str(tmp_path / "m.json") in line for line in error.lines)
    assert message in str(error)


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot read .*: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            ["varients"],
            {},
            "$.varients: the key 'varients' is unknown here. Did you mean variants?",
        ),
        (
            ["variants", "x", "components", "flashinfer", "arch"],
            [],
            "$.variants.x.components.flashinfer.arch: the key 'arch' is unknown here. "
            "Did you mean archs?",
        ),
        (
            ["variants", "x", "components", "flashinver"],
            {},
            "$.variants.x.components.flashinver: the key 'flashinver' is unknown here. "
            "Did you mean flashinfer?",
        ),
        (
            ["toolkits", "13.0", "bases", "registry", "tag"],
            "x",
            "$.toolkits[\"13.0\"].bases.registry.tag: the key 'tag' is unknown here. "
            "Known are image, digest.",
        ),
        (
            ["variants", "x", "components", "flashinfer", "selection"],
            "fulll",
            "$.variants.x.components.flashinfer.selection: "
            "input should be 'core', 'common' or 'full'.",
        ),
        (
            ["variants", "x", "require", "linux/riscv64"],
            ["12.0"],
            "$.variants.x.require[\"linux/riscv64\"]: the key 'linux/riscv64' is unknown here: "
            "input should be 'linux/amd64' or 'linux/arm64'.",
        ),
        (
            ["variants", "x", "components", "flashinfer", "archs", "linux/amd64"],
            [12.0],
            '$.variants.x.components.flashinfer.archs["linux/amd64"][0]: '
            "input should be a valid string.",
        ),
        (["source_date_epoch"], "1", "$.source_date_epoch: input should be a valid integer."),
        (
            ["sources", "vllm", "files", "vllm-0.33.0.tar.gz"],
            "abc",
            '$.sources.vllm.files["vllm-0.33.0.tar.gz"]: '
            "string should match pattern '^[0-9a-f]{64}$'.",
        ),
        (["sources", "nixl", "13", "version"], None, "input should be a valid string."),
    ],
)
def test_a_mistake_has_its_json_path(
    small: dict[str, Any], lines: Lines, path: list[str], value: Any, line: str
) -> None:
    node = small
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    (found,) = lines(small)
    assert line in found


def test_a_missing_key(small: dict[str, Any], lines: Lines) -> None:
    del small["variants"]["x"]["toolkit"]
    assert lines(small) == ["$.variants.x.toolkit: this is missing. Add it."]


def test_all_mistakes_are_named_with_the_file(tmp_path: Path, small: dict[str, Any]) -> None:
    small["defualt"] = small.pop("default")
    small["toolkits"]["13.0"]["torch"] = 2
    error = refusal(tmp_path, json.dumps(small).encode())
    assert isinstance(error, SeveralProblemsError)
    assert len(error.lines) == 3
    assert all(line.startswith(f"{tmp_path / 'm.json'}: $.") for line in error.lines)


def test_nothing_of_a_matrix_can_be_changed(document: dict[str, Any]) -> None:
    parsed = parse(json.dumps(document).encode())
    with pytest.raises(ValueError, match="frozen"):
        parsed.default = "x"  # type: ignore[misc]


@pytest.mark.parametrize("key", ["[", "[key]", "[a]", "", "]"])
def test_a_key_that_looks_like_a_step_of_the_validator_is_named(
    key: str, document: dict[str, Any]
) -> None:
    for place in (document, document["variants"]["demo"]):
        place[key] = None
        with pytest.raises(ConfigurationError, match=re.escape(repr(key))):
            parse(json.dumps(document).encode())
        del place[key]
