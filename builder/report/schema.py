"""The published JSON Schemas of the report and of policy files.

`python -m builder.report.schema` writes them from the models; a test fails when they drift apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from builder.report.diff.model import Diff
from builder.report.model import Report
from builder.verdict.policy import Policy

_PACKAGE = Path(__file__).parents[1]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: dict[Path, type[BaseModel]] = {
    _PACKAGE / "report" / "data" / "report.schema.json": Report,
    _PACKAGE / "report" / "diff" / "data" / "diff.schema.json": Diff,
    _PACKAGE / "verdict" / "data" / "policy.schema.json": Policy,
}
"""Each published file and the model it comes from."""


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema that a model amounts to."""
    return {"$schema": _DIALECT, **model.model_json_schema(by_alias=True)}


def render(model: type[BaseModel]) -> str:
    """The text of a published schema."""
    return json.dumps(schema_of(model), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, model in PUBLISHED.items():
        path.write_text(render(model), encoding="utf-8")
