"""Folding events: on streams recorded from buildx 0.29, and on pieces cut anywhere."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.progress.events import Log, Vertex, parse_line
from smforge.bake.progress.state import (
    GENERAL,
    BuildState,
    Change,
    OutputLine,
    StepEnded,
    StepStarted,
)
from smforge.bake.progress.steps import StepName, parse_name

DATA = Path(__file__).parent / "data"


def fold(name: str, *targets: str) -> tuple[BuildState, list[Change]]:
    state = BuildState(targets)
    changes: list[Change] = []
    for line in (DATA / name).read_bytes().splitlines():
        for event in parse_line(line):
            changes.extend(state.apply(event))
    return state, changes


@pytest.mark.parametrize(
    ("name", "targets", "expected"),
    [
        (
            "[wheel base 2/7] RUN make",
            ("wheel", "base"),
            StepName("wheel", "base", 2, 7, "RUN make"),
        ),
        ("[base 2/7] RUN make", ("base",), StepName("base", "base", 2, 7, "RUN make")),
        ("[base base 2/7] RUN x", ("base", "b"), StepName("base", "base", 2, 7, "RUN x")),
        (
            "[wheel linux/arm64 stage-0 1/2] COPY a b",
            ("wheel", "base"),
            StepName("wheel", "linux/arm64 stage-0", 1, 2, "COPY a b"),
        ),
        (
            "[wheel internal] load build context",
            ("wheel", "base"),
            StepName("wheel", "", None, None, "load build context"),
        ),
        (
            "[internal] load local bake definitions",
            ("wheel", "base"),
            StepName(None, "", None, None, "load local bake definitions"),
        ),
        (
            "[wheel] exporting to client directory",
            ("wheel", "base"),
            StepName("wheel", "", None, None, "exporting to client directory"),
        ),
        (
            "exporting to image",
            ("wheel",),
            StepName("wheel", "", None, None, "exporting to image"),
        ),
        ("importing cache", ("wheel", "base"), StepName(None, "", None, None, "importing cache")),
    ],
)
def test_vertex_names(name: str, targets: tuple[str, ...], expected: StepName) -> None:
    assert parse_name(name, targets) == expected


@given(st.text(), st.lists(st.text(), max_size=3))
def test_no_vertex_name_is_an_exception(name: str, targets: list[str]) -> None:
    parse_name(name, targets)


def test_a_failing_target_and_the_sibling_it_cancelled() -> None:
    state, changes = fold("failed.rawjson", "made", "broken")
    assert state.failed is not None
    target, step = state.failed
    assert target == "broken"
    assert step.name.label == "broken 1/1"
    assert list(step.tail) == ["x.cu(3): error: identifier is undefined"]
    assert state.targets["broken"].done == 1
    cancelled = state.targets["made"].steps.values()
    assert [one.name.stage for one in cancelled if one.cancelled] == ["work"]
    assert state.targets["made"].failed is None
    assert any("ERROR: target broken: failed to solve" in line for line in state.plain)
    assert OutputLine(GENERAL, None, state.plain[-1]) in changes


def test_a_step_that_targets_share_counts_for_each_and_its_output_reaches_each() -> None:
    state, changes = fold("shared.rawjson", "a", "b", "c")
    for name in ("a", "b", "c"):
        target = state.targets[name]
        assert target.done == len(target.numbered)
        assert target.failed is None
        assert target.running is None
        said = [c.text for c in changes if isinstance(c, OutputLine) and c.target == name]
        assert said == ["line 1", "line 2", "line 3", "x9"]
    assert len(state.targets["c"].numbered) == 4


def test_every_step_that_began_ended() -> None:
    _, changes = fold("shared.rawjson", "a", "b", "c")
    began = {(c.target, c.step.digest) for c in changes if isinstance(c, StepStarted)}
    ended = {(c.target, c.step.digest) for c in changes if isinstance(c, StepEnded)}
    assert began
    assert began == ended


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r")), st.data())
def test_lines_do_not_depend_on_where_the_pieces_are_cut(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert _lines(pieces) == _lines([raw])
    expected = text.split("\n")
    assert _lines([raw]) == (expected if expected[-1] else expected[:-1])


def test_a_redrawn_line_is_kept_in_its_last_form() -> None:
    assert _lines([b"10%\r50%", b"\r100%\nnext\r\n"]) == ["100%", "next"]


def _lines(pieces: list[bytes]) -> list[str]:
    """What a step that printed these pieces is shown to have said."""
    state = BuildState(("t",))
    times = b'"started":"2026-11-21T13:00:00Z"'
    begin = b'{"vertexes":[{"digest":"d","name":"[s 1/1] RUN x",%s}]}' % times
    end = begin.replace(times, times + b',"completed":"2026-11-21T13:00:01Z"')
    logs = [
        json.dumps({"logs": [{"vertex": "d", "data": base64.b64encode(piece).decode()}]}).encode()
        for piece in pieces
    ]
    changes = [
        change
        for line in (begin, *logs, end)
        for event in parse_line(line)
        for change in state.apply(event)
    ]
    return [change.text for change in changes if isinstance(change, OutputLine)]


def test_output_of_an_unknown_step_is_no_error() -> None:
    assert BuildState(("t",)).apply(Log("nobody", b"text\n", None)) == ()


def test_a_step_that_fails_without_having_begun_is_found() -> None:
    state = BuildState(("t",))
    state.apply(Vertex(digest="d", name="[s 1/1] RUN x", error="broken pipe"))
    assert state.failed is not None
    assert state.failed[1].error == "broken pipe"


def moment(second: int) -> datetime:
    return datetime(2026, 11, 21, 13, 0, second, tzinfo=UTC)


def test_a_step_shared_with_an_older_build_counts_from_our_call_on() -> None:
    state = BuildState(("t",), began=moment(30))
    state.apply(Vertex(digest="d", name="[s 1/1] RUN x", started=moment(0), completed=moment(40)))
    assert state.targets["t"].seconds == 10.0


def test_a_step_that_is_cancelled_and_run_again_is_neither_failed_nor_cached() -> None:
    state = BuildState(("t",))
    name = "[s 1/1] RUN x"
    cancelled = "process: context canceled"
    for vertex in (
        Vertex(digest="d", name=name, started=moment(0), completed=moment(1), cached=True),
        Vertex(digest="d", name=name, started=moment(0), completed=moment(2), error=cancelled),
        Vertex(digest="d", name=name, started=moment(3)),
        Vertex(digest="d", name=name, started=moment(3), completed=moment(4)),
    ):
        state.apply(vertex)
    target = state.targets["t"]
    assert state.failed is None
    assert (target.done, target.cached) == (1, False)


def test_steps_that_the_cache_made_unnecessary_do_not_make_a_target_uncached() -> None:
    state = BuildState(("t",))
    state.apply(Vertex(digest="a", name="[s 1/2] RUN x"))
    state.apply(
        Vertex(
            digest="b", name="[s 2/2] RUN y", started=moment(0), completed=moment(0), cached=True
        )
    )
    assert state.targets["t"].cached
