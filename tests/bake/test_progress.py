"""The displays: plain lines without a terminal, a table that redraws itself with one."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from smforge.amounts import clock_text
from smforge.bake.progress.display import (
    LOG_SECONDS,
    LiveProgress,
    PlainProgress,
    Progress,
    SilentProgress,
    choose_progress,
)
from smforge.bake.progress.events import parse_line
from smforge.bake.progress.rows import clean, short_action
from smforge.bake.progress.state import BuildState

DATA = Path(__file__).parent / "data"


def play(display: Progress, lines: list[bytes], *targets: str) -> None:
    state = BuildState(targets)
    with display:
        for line in lines:
            changes = tuple(c for event in parse_line(line) for c in state.apply(event))
            display.changed(state, changes)


def test_without_a_terminal_each_step_that_ends_is_one_line() -> None:
    stream = io.StringIO()
    lines = (DATA / "failed.rawjson").read_bytes().splitlines()
    play(PlainProgress(stream, clock=lambda: 0.0), lines, "made", "broken")
    shown = stream.getvalue().splitlines()
    (shared,) = (line for line in shown if "cached: COPY busybox" in line)
    assert shared.startswith(("[broken: root 1/1]", "[made: root 1/1]"))
    (failed,) = (line for line in shown if "failed: " in line)
    assert failed.startswith("[broken: broken 1/1] failed: RUN ")
    (cancelled,) = (line for line in shown if "cancelled: " in line)
    assert cancelled.startswith("[made: work 1/1] cancelled: RUN ")
    assert "\x1b" not in stream.getvalue()
    assert all(len(line) <= 160 for line in shown)


def test_a_long_step_speaks_now_and_then() -> None:
    times = iter([0.0, 1.0, LOG_SECONDS + 1, LOG_SECONDS + 2])
    stream = io.StringIO()
    begin = b'{"vertexes":[{"digest":"d","name":"[s 1/1] RUN x","started":"2026-11-21T13:00:00Z"}]}'
    logs = [
        json.dumps({"logs": [{"vertex": "d", "data": base64.b64encode(text).decode()}]}).encode()
        for text in (b"one\n", b"two\n", b"three\n")
    ]
    play(PlainProgress(stream, clock=lambda: next(times)), [begin, *logs], "t")
    assert stream.getvalue() == "[t: s 1/1] | two\n"


def test_a_terminal_gets_a_table_that_is_gone_at_the_end() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=30)
    display = LiveProgress(console, "demo linux/amd64")
    lines = (DATA / "failed.rawjson").read_bytes().splitlines()
    state = BuildState(("made", "broken"))
    with display:
        for line in lines:
            changes = tuple(c for event in parse_line(line) for c in state.apply(event))
            display.changed(state, changes)
        drawn = Console(file=io.StringIO(), width=100)
        drawn.print(display._table())
    text = drawn.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    assert "demo linux/amd64" in text
    assert "failed broken 1/1 RUN" in text
    assert "x.cu(3): error: identifier is undefined" in text
    assert "\x1b[2K" in stream.getvalue(), "the table is wiped when the build ends"


def test_the_display_fits_the_stream() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(choose_progress(Terminal(), "x", quiet=True), SilentProgress)
    assert isinstance(choose_progress(io.StringIO(), "x", quiet=False), PlainProgress)


@given(st.text())
def test_shown_text_cannot_move_the_cursor(text: str) -> None:
    shown = clean(text)
    assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in shown)


def test_colours_are_taken_out_whole() -> None:
    assert clean("\x1b[31merror\x1b[0m:\tx\x1b]0;title\x07!") == "error: x!"


def test_an_instruction_is_shown_by_what_it_runs() -> None:
    action = "RUN --mount=type=cache,target=/c --network=none   python x.py --mount-it"
    assert short_action(action) == "RUN python x.py --mount-it"
    assert short_action("COPY --from=work /made /") == "COPY --from=work /made /"


def test_times_read_like_a_clock() -> None:
    assert [clock_text(s) for s in (0.4, 59.9, 725, 3723)] == ["0:00", "0:59", "12:05", "1:02:03"]
