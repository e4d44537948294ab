"""The record: its published schema, and when it lets a build be skipped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smforge.bake import record as records
from smforge.bake.artefacts import artefacts_in, intact
from smforge.bake.inputs.digest import inputs_digest, inputs_of
from smforge.bake.record import RunRecord, former_record, schema_text
from smforge.plan.records import Cell

SCHEMA = Path(records.__file__).parent / "data" / "record.schema.json"


def a_record(**changes: object) -> RunRecord:
    return RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": "passed",
            "exit_code": 0,
            "started": "2026-11-21T13:00:00Z",
            "finished": "2026-11-21T13:00:01Z",
            "seconds": 1.0,
            "inputs_sha256": "0" * 64,
            "plan": {},
            "variables": {},
            "command": ("docker",),
            "tools": {},
            **changes,
        }
    )


def test_the_published_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_text() == schema_text()


def test_a_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(a_record().text)
    assert former_record(path) == a_record()


@pytest.mark.parametrize("content", ["", "{}", "null", '{"schema_version": 2}', "\x00"])
def test_what_is_no_record_counts_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.json"
    assert former_record(path) is None
    path.write_text(content)
    assert former_record(path) is None


PASSED = {"verdict": "pass", "exit_code": 0, "findings": 0}
FAILED = {"verdict": "fail", "exit_code": 1, "findings": 1}


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({"audit": PASSED}, True),
        ({"audit": PASSED, "image_audit": PASSED}, True),
        ({"audit": PASSED, "image_audit": FAILED}, False),
        ({"audit": FAILED}, False),
        ({"audit": {**PASSED, "exit_code": 3}}, False),
        ({}, False),
        ({"audit": PASSED, "exit_code": 1}, False),
        ({"audit": PASSED, "result": "rejected"}, False),
    ],
)
def test_only_a_record_whose_parts_agree_has_passed(
    changes: dict[str, object], passed: bool
) -> None:
    assert a_record(**changes).passed is passed


@given(st.text(alphabet="./a-\n\\", max_size=12))
def test_a_recorded_path_stays_below_its_folder(path: str) -> None:
    artefact = {"path": path, "sha256": "0" * 64, "size": 0}
    try:
        record = a_record(artefacts=[artefact])
    except ValidationError:
        return
    inside = f"/folder/{record.artefacts[0].path}"
    assert os.path.normpath(inside) == inside
    assert inside.startswith("/folder/")


def test_the_inputs_are_the_cell_the_definition_and_the_context(
    project: Path, cell: Callable[..., Cell]
) -> None:
    matrix = project / "versions.json"

    def digest(one: Cell) -> str:
        return inputs_digest(inputs_of(one, project, matrix))

    seen = [digest(cell("made"))]
    assert digest(cell("made")) == seen[0]
    seen.append(digest(cell("made", TEXT="other")))
    (project / "docker-bake.hcl").write_text("# other\n")
    seen.append(digest(cell("made")))
    (project / "docker" / "added").write_text("")
    seen.append(digest(cell("made")))
    (project / "docker" / "added").rename(project / "docker" / "renamed")
    seen.append(digest(cell("made")))
    matrix.write_text(json.dumps(json.loads(matrix.read_text())))
    seen.append(digest(cell("made")))
    assert len(set(seen)) == len(seen)
    policy = project / "policy.toml"
    policy.write_text("native = true")
    with_policy = inputs_of(cell("made"), project, matrix, [policy])
    assert inputs_digest(with_policy) not in seen
    (project / "out").mkdir()
    checkout = inputs_of(cell("made"), project, matrix, checkout=project / "docker")
    assert inputs_digest(checkout) not in seen
    other = inputs_of(cell("made"), project, matrix, checkout=project / "out")
    assert inputs_digest(checkout) != inputs_digest(other)
    (project / "docker" / "__pycache__").mkdir()
    (project / "docker" / "__pycache__" / "x.pyc").write_text("noise")
    (project / "out" / "x.whl").write_text("not an input")
    assert digest(cell("made")) == seen[-1]


def test_a_changed_or_lost_artefact_is_noticed(tmp_path: Path) -> None:
    wheel = tmp_path / "sub" / "x.whl"
    wheel.parent.mkdir()
    wheel.write_text("abc")
    record = a_record(artefacts=artefacts_in(tmp_path))
    assert [one.path for one in record.artefacts] == ["sub/x.whl"]
    assert intact(record, tmp_path)
    (tmp_path / "added").touch()
    assert not intact(record, tmp_path)
    (tmp_path / "added").rename(tmp_path / "record.json")
    assert intact(record, tmp_path)
    wheel.write_text("abd")
    assert not intact(record, tmp_path)
    wheel.unlink()
    assert not intact(record, tmp_path)
