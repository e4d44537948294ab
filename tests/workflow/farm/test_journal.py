"""The journal: what it says, and what a killed process or a foreign hand can make of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smforge.errors import BuildFailedError, DamagedInputError, UsageError
from smforge.workflow.farm.journal import (
    JOURNAL_NAME,
    CellBegun,
    CellEnded,
    Ended,
    Journal,
    last_run,
    now,
    read_journal,
)
from smforge.workflow.farm.request import BuildRequest

REQUEST = BuildRequest(directory=Path("/somewhere"), variants=("one",), force=True)


def ended(cell: str, exit_code: int) -> CellEnded:
    return CellEnded(at=now(), cell=cell, result="x", exit_code=exit_code, inputs_sha256=None)


def test_a_journal_says_what_was_asked_and_how_far_the_run_came(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, REQUEST, ["a", "b"])
    journal.add(CellBegun(at=now(), cell="a"))
    journal.add(ended("a", 0))
    journal.add(ended("b", 5))
    history = last_run(tmp_path)
    assert history.begun.request == REQUEST
    assert history.begun.cells == ("a", "b")
    assert history.passed == {"a"}
    assert not history.ended
    Journal.resume(tmp_path).add(Ended(at=now(), exit_code=5))
    again = last_run(tmp_path)
    assert again.ended
    assert again.passed == {"a"}
    lines = (tmp_path / JOURNAL_NAME).read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["begun", "cell-begun", "cell-ended", "cell-ended", "resumed", "ended"]


def test_a_torn_last_line_counts_as_not_written(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, REQUEST, ["a"])
    journal.add(ended("a", 0))
    path = tmp_path / JOURNAL_NAME
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        history = read_journal(tmp_path)
        assert history is not None
        assert history.passed == frozenset()
    resumed = Journal.resume(tmp_path)
    resumed.add(ended("a", 0))
    assert last_run(tmp_path).passed == {"a"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_no_journal_is_refused_and_nothing_worse(
    data: st.DataObject, tmp_path: Path
) -> None:
    journal = Journal.begin(tmp_path, REQUEST, ["a"])
    journal.add(ended("a", 0))
    path = tmp_path / JOURNAL_NAME
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(DamagedInputError):
        history = read_journal(tmp_path)
        assert history is not None
        assert history.passed <= {"a"} or b"cell-ended" in content


@pytest.mark.parametrize("text", ["", "\n", "{}\n", '{"event": "ended"}\n', "[]\n", "\x00\n"])
def test_an_empty_or_foreign_file_is_no_journal(tmp_path: Path, text: str) -> None:
    (tmp_path / JOURNAL_NAME).write_text(text)
    with pytest.raises(DamagedInputError, match="no journal that this smforge can use"):
        last_run(tmp_path)


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There was no run in"):
        last_run(tmp_path)


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, REQUEST, ["a"])
    (tmp_path / JOURNAL_NAME).unlink()
    with pytest.raises(BuildFailedError, match="cannot be written"):
        journal.add(ended("a", 0))
