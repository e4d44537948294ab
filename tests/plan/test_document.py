"""The plan as JSON keeps the shape that its schema publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from smforge.matrix.load import Matrix
from smforge.plan import document
from smforge.plan.document import plan_document
from smforge.plan.resolve import resolve

SCHEMA_FILE = Path(document.__file__).parent / "data" / "plan.schema.json"


@pytest.fixture
def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return content


def test_the_plan_of_the_matrix_has_the_published_shape(
    matrix: Matrix, schema: dict[str, Any]
) -> None:
    document = plan_document(resolve(matrix))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert json.loads(json.dumps(document)) == document


def test_the_schema_is_closed(matrix: Matrix, schema: dict[str, Any]) -> None:
    """A key that is added to the plan has to be added to the schema."""

    def objects(node: Any) -> list[dict[str, Any]]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        found = [one for value in inner for one in objects(value)]
        return [node, *found] if isinstance(node, dict) and node.get("type") == "object" else found

    assert len(objects(schema)) > 5
    for one in objects(schema):
        assert one["additionalProperties"] is False or "properties" not in one
        assert set(one.get("required", ())) == set(one.get("properties", ()))


def test_two_plans_of_one_matrix_are_the_same_bytes(matrix: Matrix) -> None:
    assert json.dumps(plan_document(resolve(matrix))) == json.dumps(plan_document(resolve(matrix)))
