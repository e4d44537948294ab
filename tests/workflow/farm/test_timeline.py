"""The timeline: what it takes from journal and records, its critical path, and its page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from smforge.bake.record import RunRecord
from smforge.errors import UsageError
from smforge.workflow.farm.journal import (
    JOURNAL_NAME,
    Begun,
    CellBegun,
    CellEnded,
    Ended,
    Event,
    Resumed,
)
from smforge.workflow.farm.request import BuildRequest
from smforge.workflow.farm.timeline import Timeline, timeline_of
from smforge.workflow.farm.timeline_page import timeline_document, timeline_page

BEGAN = datetime(2026, 11, 28, tzinfo=UTC)
PROCESS = {"host": "here", "pid": 7, "command": ("smforge", "build"), "smforge": "0"}


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def ended(seconds: float, cell: str, result: str = "passed", exit_code: int = 0) -> CellEnded:
    return CellEnded(
        at=at(seconds), cell=cell, result=result, exit_code=exit_code, inputs_sha256=None
    )


def write(out: Path, cells: Sequence[str], *events: Event) -> None:
    first = Begun(at=BEGAN, request=BuildRequest(directory=out), cells=tuple(cells), **PROCESS)
    lines = [json.dumps(one.model_dump(mode="json")) for one in (first, *events)]
    (out / JOURNAL_NAME).write_text("\n".join(lines) + "\n")


def record(out: Path, cell: str, started: float, *targets: dict[str, object]) -> None:
    variant, _, platform = cell.partition("-")
    found = RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": "passed",
            "exit_code": 0,
            "started": at(started),
            "finished": at(started + 1),
            "seconds": 1.0,
            "inputs_sha256": "0" * 64,
            "plan": {},
            "variables": {},
            "command": ("docker",),
            "tools": {},
            "targets": targets,
        }
    )
    place = out / variant / "logs" / platform
    place.mkdir(parents=True)
    (place / "record.json").write_text(found.text)


def target(
    name: str, begin: float, seconds: float, *needs: str, steps: int = 2, cached: int = 0
) -> dict[str, object]:
    return {
        "name": name,
        "seconds": seconds,
        "steps": steps,
        "completed_steps": steps,
        "cached": steps == cached,
        "started": at(begin),
        "cached_steps": cached,
        "needs": needs,
    }


@pytest.fixture
def killed(tmp_path: Path) -> Timeline:
    """Three cells: built, killed in its middle and built again, not begun."""
    write(
        tmp_path,
        ("one-linux-amd64", "two-linux-amd64", "three-linux-amd64"),
        CellBegun(at=at(0), cell="one-linux-amd64"),
        ended(100, "one-linux-amd64"),
        CellBegun(at=at(100), cell="two-linux-amd64"),
        Resumed(at=at(150), **PROCESS),
        CellBegun(at=at(150), cell="one-linux-amd64"),
        ended(151, "one-linux-amd64", "up-to-date"),
        CellBegun(at=at(151), cell="two-linux-amd64"),
        ended(200, "two-linux-amd64", "failed", 5),
        Ended(at=at(200), exit_code=5),
    )
    record(
        tmp_path,
        "one-linux-amd64",
        1,
        target("root", 2, 10, steps=3, cached=3),
        target("base", 5, 20, "root"),
        target("quick", 5, 30, "root"),
        target("slow", 20, 60, "base"),
        target("shim", 20, 1, "base", "quick"),
    )
    record(tmp_path, "two-linux-amd64", 155, target("<b>base</b>", 160, 30))
    return timeline_of(tmp_path)


def test_each_time_that_a_cell_began_is_a_bar_with_the_targets_of_its_own_build(
    killed: Timeline,
) -> None:
    assert [(one.name, one.result, one.begin, one.end) for one in killed.cells] == [
        ("one-linux-amd64", "passed", 0, 100),
        ("two-linux-amd64", "killed", 100, 150),
        ("one-linux-amd64", "up-to-date", 150, 151),
        ("two-linux-amd64", "failed", 151, 200),
    ]
    assert [len(one.targets) for one in killed.cells] == [5, 0, 0, 1]
    assert list(killed.not_begun) == ["three-linux-amd64"]
    assert list(killed.resumed) == [150]
    assert (killed.steps, killed.cached) == (13, 3)
    assert not killed.all_passed


def test_the_critical_path_is_the_chain_that_ended_last(killed: Timeline) -> None:
    first = killed.cells[0]
    assert [bar.name for bar in first.targets if bar.critical] == ["root", "base", "slow"]
    # root 2 to 12, then base until 25, then slow until 80: what overlaps counts once.
    assert first.critical_seconds == pytest.approx(10 + 13 + 55)


def test_a_run_without_records_and_without_an_end_is_shown_as_far_as_it_came(
    tmp_path: Path,
) -> None:
    write(tmp_path, ("one-linux-amd64",), CellBegun(at=at(3), cell="one-linux-amd64"))
    found = timeline_of(tmp_path)
    (cell,) = found.cells
    assert (cell.result, cell.exit_code, cell.targets) == ("killed", None, ())
    assert "the run has not come to its end" in timeline_page(found)
    assert not found.all_passed
    with pytest.raises(UsageError, match="There was no run in"):
        timeline_of(tmp_path / "elsewhere")


def test_a_need_in_a_circle_or_without_a_record_ends_the_chain(tmp_path: Path) -> None:
    write(
        tmp_path,
        ("one-linux-amd64",),
        CellBegun(at=at(0), cell="one-linux-amd64"),
        ended(10, "one-linux-amd64"),
    )
    circle = (target("a", 1, 2, "b"), target("b", 1, 3, "a", "gone"))
    record(tmp_path, "one-linux-amd64", 0.5, *circle)
    (cell,) = timeline_of(tmp_path).cells
    assert [bar.critical for bar in cell.targets] == [True, True]


class Reader(HTMLParser):
    """The elements that are open, the texts, and the number of bars."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.bars: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "rect":
            self.bars.append(str(dict(attrs)["class"]))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_every_bar_and_lets_no_foreign_text_be_more_than_text(
    killed: Timeline,
) -> None:
    html = timeline_page(killed)
    assert html.isascii()
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert len(reader.bars) == 10
    assert sum("critical" in one for one in reader.bars) == 4
    assert "cell failed" in reader.bars
    assert "target cached" not in " ".join(reader.bars).replace("target cached critical", "")
    assert "<b>base</b>" in reader.text
    assert "<b>" not in html
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html
    assert "1 of 3 cells passed in 3:20, 1 not begun." in reader.text
    assert "style=" not in html


def test_a_run_of_many_cells_is_drawn_without_targets_first(killed: Timeline) -> None:
    (cell,) = (one for one in killed.cells if one.result == "failed")
    cells = [
        dataclasses.replace(cell, name=f"c{number}-linux-amd64", begin=600.0 * number,
                            end=600.0 * (number + 1), exit_code=1 if number == 7 else 0,
                            result="failed" if number == 7 else "passed")
        for number in range(60)
    ]  # fmt: skip
    run = dataclasses.replace(killed, cells=tuple(cells), not_begun=(), resumed=())
    html = timeline_page(run)
    overview, details, _ = html.partition("<details>")
    assert details
    first, second = Reader(), Reader()
    first.feed(overview)
    second.feed(html)
    assert [one.partition(" ")[0] for one in first.bars] == ["cell"] * 60
    assert len(second.bars) == 2 * 60 + 60 * len(cell.targets)
    assert second.open == []
    assert "<dt>Did not pass</dt><dd>c7-linux-amd64</dd>" in html
    # The lines of the axis are at round times: 36,000 seconds are ten hours.
    assert all(f">{hour}:00:00</text>" in overview for hour in (2, 4, 6, 8, 10))


def test_the_document_has_the_same_numbers(killed: Timeline) -> None:
    document = json.loads(json.dumps(timeline_document(killed)))
    assert document["not_begun"] == ["three-linux-amd64"]
    assert [one["result"] for one in document["cells"]][1] == "killed"
    assert document["cells"][0]["targets"][3] == {
        "target": "slow",
        "begin": 20.0,
        "end": 80.0,
        "steps": 2,
        "cached_steps": 0,
        "critical": True,
    }
