"""The published JSON Schema of versions.json.

`python -m smforge.matrix.schema` writes data/versions.schema.json from the models; a test fails
when the two have drifted apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smforge.matrix.models import Document

SCHEMA_FILE = Path(__file__).parent / "data" / "versions.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document_schema() -> dict[str, Any]:
    """The schema that the models amount to."""
    return {"$schema": _DIALECT, **Document.model_json_schema(by_alias=True)}


def render() -> str:
    """The published file's text."""
    return json.dumps(document_schema(), indent=2) + "\n"


def keys_at(path: tuple[str | int, ...]) -> list[str]:
    """The keys that the schema names for the object at a path; none where any key will do.

    A step in brackets (``[RegistryBase]``) chooses among the kinds that an object may be of.
    """
    schema = document_schema()
    nodes = [schema]
    for step in path:
        nodes = [inner for node in nodes for inner in _inside(schema, node, step)]
    return [key for node in nodes for key in _plain(schema, node).get("properties", {})]


def _inside(schema: dict[str, Any], node: dict[str, Any], step: str | int) -> Iterator[Any]:
    node = _plain(schema, node)
    if isinstance(step, int):
        found = node.get("items")
    elif step.startswith("["):
        reference = f"#/$defs/{step.strip('[]')}"
        found = next((one for one in node.get("oneOf", ()) if one.get("$ref") == reference), None)
    else:
        found = node.get("properties", {}).get(step) or node.get("additionalProperties")
        patterns = node.get("patternProperties")
        if found in (None, False) and patterns:
            found = next(iter(patterns.values()))
    if isinstance(found, dict):
        yield found


def _plain(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The node behind a reference, or behind "this or null"."""
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            return _plain(schema, choice)
    if reference := node.get("$ref"):
        name = reference.rpartition("/")[2]
        return _plain(schema, schema["$defs"][name])
    return node


if __name__ == "__main__":
    SCHEMA_FILE.write_text(render(), encoding="utf-8")
