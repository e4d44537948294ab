"""The tables in data/: their form, their sources, and that they do not contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

import smforge.arch
from smforge.arch.devices import CubinsFrom, Status, devices
from smforge.arch.grammar import torch_list
from smforge.arch.tables import table
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import toolkits

DATA = Path(smforge.arch.__file__).parent / "data"
NAMES = sorted(path.stem for path in DATA.glob("*.json"))

CAPABILITY = {"type": "string", "pattern": r"^[1-9]\d?\.\d$"}
VERSION = {"type": "string", "pattern": r"^\d+\.\d+$"}
DRIVER = {"type": "string", "pattern": r"^\d{3}\.\d+(\.\d+)?$"}
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def rows(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": one, "minItems": 1}


SOURCED = {"sources": {**TEXTS, "minItems": 1}}
NOTE = {"note": TEXT}
SOURCES = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": record(
        {"title": TEXT, "kind": {"enum": ["primary", "secondary", "measured"]}},
        {"url": {"type": "string", "pattern": "^https://"}},
    ),
}
SUFFIX = {"enum": ["a", "f"]}
OR_NONE = {"anyOf": [CAPABILITY, {"type": "null"}]}

SCHEMAS = {
    "architectures": {
        "devices": rows(
            record(
                {
                    "capability": CAPABILITY,
                    "architecture": TEXT,
                    "products": TEXTS,
                    "cubins_from": {"enum": list(CubinsFrom)},
                    "tegra": {"type": "boolean"},
                    "status": {"enum": list(Status)},
                    **SOURCED,
                },
                {"alias_of": CAPABILITY, "names": TEXTS, "host": {"enum": ["aarch64"]}, **NOTE},
            )
        ),
        "families": record(
            {
                "about": TEXT,
                "rows": rows(
                    record(
                        {
                            "target": {"type": "string", "pattern": r"^\d+\.\df$"},
                            "runs_on": rows(CAPABILITY),
                            **SOURCED,
                        },
                        NOTE,
                    )
                ),
            }
        ),
        "renamed": record(
            {
                "about": TEXT,
                "rows": rows(
                    record(
                        {
                            "old": CAPABILITY,
                            "new": CAPABILITY,
                            "from_toolkit": VERSION,
                            "message": TEXT,
                            **SOURCED,
                        }
                    )
                ),
            }
        ),
        "picking": record(
            {
                "about": TEXT,
                "rows": rows(record({"rule": TEXT, "documented": {"type": "boolean"}, **SOURCED})),
            }
        ),
    },
    "toolkits": {
        "toolkits": rows(
            record(
                {
                    "version": VERSION,
                    "ptx_isa": VERSION,
                    "minor_version_driver": DRIVER,
                    "gcc": record({"min": {"type": "integer"}, "max": {"type": "integer"}}),
                    "targets": TEXT,
                    **SOURCED,
                }
            )
        )
    },
    "drivers": {
        "rows": rows(
            record(
                {
                    "ptx_isa": VERSION,
                    "toolkits": rows(VERSION),
                    "driver": {"anyOf": [DRIVER, {"type": "null"}]},
                    **SOURCED,
                },
                {"branch": {"type": "integer"}, **NOTE},
            )
        )
    },
    "triton": {
        "ptx_isa": {
            "type": "object",
            "additionalProperties": rows(
                record({"from": VERSION, "to": VERSION, "ptx_isa": VERSION})
            ),
        },
        "releases": {
            "type": "object",
            "additionalProperties": record(
                {
                    "ptx_isa": TEXT,
                    "arch_specific": record({"from": OR_NONE, "to": OR_NONE}),
                    "assemblers": rows(
                        record(
                            {
                                "file": {"enum": ["ptxas", "ptxas-blackwell"]},
                                "from": OR_NONE,
                                "variable": {"type": "string", "pattern": "^TRITON_.*_PATH$"},
                                "cuda": VERSION,
                            }
                        )
                    ),
                }
            ),
        },
    },
    "cuda_libraries": {
        "numbered_by_cuda_major": TEXTS,
        "own_numbers": TEXTS,
        "call_driver": TEXTS,
    },
    "toolkit_assembler": {"toolkit": record({"path": TEXT, "variable": TEXT, **SOURCED})},
    "torch_names": {"names": {"type": "object", "additionalProperties": TEXT}},
    "flashinfer_suffixes": {
        "releases": rows(
            record(
                {
                    "from": TEXT,
                    "rules": rows(
                        record(
                            {"first": CAPABILITY, "last": CAPABILITY},
                            {
                                "suffix": SUFFIX,
                                "toolkit_from": VERSION,
                                "refused_before": VERSION,
                            },
                        )
                    ),
                }
            )
        )
    },
}


def source_keys(value: object) -> set[str]:
    """Every source named anywhere below, except where the sources themselves are described."""
    if isinstance(value, list):
        return set().union(*map(source_keys, value))
    if not isinstance(value, dict):
        return set()
    named = value.get("sources")
    own = set(named) if isinstance(named, list) else set()
    return own.union(*(source_keys(one) for key, one in value.items() if key != "sources"))


def test_every_table_has_a_schema() -> None:
    assert sorted(SCHEMAS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_a_table(name: str) -> None:
    schema = record({"about": TEXT, "sources": SOURCES, **SCHEMAS[name]})
    jsonschema.validate(table(name), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", NAMES)
def test_rows_name_the_sources_there_are(name: str) -> None:
    described = set(table(name)["sources"])
    named = source_keys(table(name))
    if named:
        assert named == described


def test_rows_stand_once() -> None:
    for rows_of, key in [
        (table("architectures")["devices"], "capability"),
        (table("architectures")["families"]["rows"], "target"),
        (table("toolkits")["toolkits"], "version"),
        (table("drivers")["rows"], "ptx_isa"),
    ]:
        names = [row[key] for row in rows_of]
        assert sorted(set(names)) == sorted(names)


def test_tegra_takes_its_own_cubins_only() -> None:
    assert {one.cubins_from for one in devices() if one.tegra} == {CubinsFrom.EXACT}


def test_an_alias_names_the_device_it_became() -> None:
    aliases = {one.capability: one.alias_of for one in devices() if one.status is Status.ALIAS}
    renamed = {
        ComputeCapability.parse(row["old"]): ComputeCapability.parse(row["new"])
        for row in table("architectures")["renamed"]["rows"]
    }
    assert aliases == renamed
    assert all((one.alias_of is None) is (one.status is not Status.ALIAS) for one in devices())


def test_products_are_named_where_nvidia_lists_them() -> None:
    assert all(bool(one.products) is (one.status is not Status.UNLISTED) for one in devices())


def test_every_device_of_a_toolkit_is_a_device() -> None:
    known = {one.capability for one in devices()}
    assert {target.capability for one in toolkits() for target in one.targets} <= known


def test_there_is_a_family_row_for_every_family_target_and_no_other() -> None:
    rowed = {Target.parse(row["target"]) for row in table("architectures")["families"]["rows"]}
    compiled = {target for one in toolkits() for target in one.targets}
    assert rowed == {one for one in compiled if one.suffix is Suffix.FAMILY_SPECIFIC}


def test_families_shrink_upwards_within_one_major() -> None:
    families = {
        ComputeCapability.parse(row["target"][:-1]): {
            ComputeCapability.parse(text) for text in row["runs_on"]
        }
        for row in table("architectures")["families"]["rows"]
    }
    for first, members in families.items():
        assert min(members) == first
        assert {one.major for one in members} == {first.major}
        for member in members:
            assert families[member] == {one for one in members if one >= member}


def test_each_toolkit_has_the_driver_row_of_its_ptx_isa() -> None:
    made_by = {text: row["ptx_isa"] for row in table("drivers")["rows"] for text in row["toolkits"]}
    for one in toolkits():
        assert made_by[one.version] == one.ptx_isa


def test_newer_rows_need_newer_drivers() -> None:
    stated = [row["driver"] for row in table("drivers")["rows"] if row["driver"]]
    numbers = [tuple(int(part) for part in text.split(".")) for text in stated]
    assert numbers == sorted(numbers)


def test_a_driver_from_secondary_sources_alone_is_marked() -> None:
    sources = table("drivers")["sources"]
    for row in table("drivers")["rows"]:
        major, minor = (int(part) for part in row["ptx_isa"].split("."))
        kinds = {sources[key]["kind"] for key in row["sources"]}
        assert ("secondary" in kinds) is ((major, minor) >= (9, 3))


def test_torch_names_stand_for_lists_of_devices() -> None:
    known = {one.capability for one in devices()}
    for text in table("torch_names")["names"].values():
        assert {entry.target.capability for entry in torch_list.parse(text)} <= known
