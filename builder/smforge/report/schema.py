"""The published JSON Schemas of the report, of its rows, of comparisons and of policy files.

`python -m smforge.report.schema` writes them from the records; a test fails when they drift apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from smforge.policy.shape import PolicyFile
from smforge.report.diff.model import Diff
from smforge.report.model import Report
from smforge.report.rows.records import Row

_PACKAGE = Path(__file__).parents[1]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: dict[Path, type] = {
    _PACKAGE / "report" / "data" / "report.schema.json": Report,
    _PACKAGE / "report" / "diff" / "data" / "diff.schema.json": Diff,
    _PACKAGE / "report" / "rows" / "data" / "row.schema.json": Row,
    _PACKAGE / "policy" / "data" / "policy.schema.json": PolicyFile,
}
"""Each published file and the record it comes from."""


def schema_of(record: type) -> dict[str, Any]:
    """The schema that a record amounts to."""
    return {"$schema": _DIALECT, **TypeAdapter(record).json_schema(by_alias=True)}


def render(record: type) -> str:
    """The text of a published schema."""
    return json.dumps(schema_of(record), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, record in PUBLISHED.items():
        path.write_text(render(record), encoding="utf-8")
