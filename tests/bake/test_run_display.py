"""The display of a run of many cells: what fits, what is said without a terminal, a real one."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from smforge.bake.progress.events import parse_line
from smforge.bake.progress.run_display import LiveRun, PlainRun, RunDisplay, SilentRun, choose_run
from smforge.bake.progress.run_state import CellRow, chosen, counts
from smforge.bake.progress.state import BuildState

EVENTS = (Path(__file__).parent / "data" / "failed.rawjson").read_bytes().splitlines()
KINDS = st.sampled_from(["waiting", "working", "ended", "failed"])


def names_of(count: int) -> list[str]:
    return [f"cu130-{number} linux/amd64" for number in range(count)]


def play(display: RunDisplay, names: list[str]) -> None:
    """One cell fails, a third of them ends, and the next one is built."""
    third = len(names) // 3
    for number, name in enumerate(names[:third]):
        display.begin(name)
        failed = number == 0
        result = "failed" if failed else "passed" if number % 2 else "up-to-date"
        display.end(name, result, failed=failed, note="nvcc said no" if failed else "")
    display.begin(names[third])
    display.stage(names[third], "preflight")
    state = BuildState(("made", "broken"))
    with display.progress(names[third]) as progress:
        for line in EVENTS:
            changes = tuple(c for event in parse_line(line) for c in state.apply(event))
            progress.changed(state, changes)


def frame(count: int, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    display = LiveRun(console, names_of(count))
    play(display, names_of(count))
    drawn = Console(file=io.StringIO(), width=width, height=height)
    drawn.print(display.picture())
    return drawn.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined]  # StringIO


@pytest.mark.parametrize("count", [3, 12, 60])
@pytest.mark.parametrize(("width", "height"), [(120, 40), (100, 24), (80, 14), (60, 8), (30, 5)])
def test_the_table_fits_the_terminal(count: int, width: int, height: int) -> None:
    lines = frame(count, width, height)
    assert len(lines) < height, "the last line is the cursor's"
    assert max(map(len, lines)) <= width
    assert lines[0].startswith(f"{count} cells, ")
    assert any("building" in line for line in lines[2:])


def test_what_does_not_fit_is_counted() -> None:
    lines = frame(60, 120, 24)
    assert lines[0].endswith("1 failed, 1 building, 10 passed, 9 reused, 39 waiting")
    assert lines[2].split()[:3] == ["cu130-0", "linux/amd64", "failed"]
    assert "nvcc said no" in lines[2]
    assert lines[3].split()[:3] == ["cu130-20", "linux/amd64", "building"]
    assert any("broken 1/1" in line for line in lines[3:6])
    cells = sum(line.startswith("cu130-") for line in lines)
    assert lines[-1].startswith(f"and {60 - cells} more: ")
    left = [int(number) for number in re.findall(r"(\d+) [a-z]", lines[-1].partition(":")[2])]
    assert sum(left) == 60 - cells


def test_nodes_are_shown_once_a_run_has_used_several() -> None:
    names = names_of(3)
    console = Console(file=io.StringIO(), width=120, height=20, force_terminal=True)
    display = LiveRun(console, names)

    def drawn() -> str:
        out = Console(file=io.StringIO(), width=120)
        out.print(display.picture())
        return out.file.getvalue()  # type: ignore[attr-defined]  # StringIO

    display.begin(names[0])
    display.end(names[0], "passed", failed=False, nodes=("farm/farm0",))
    assert "farm0" not in drawn()
    display.begin(names[1])
    display.end(names[1], "passed", failed=False, nodes=("farm/farm1",))
    assert "on farm/farm0" in drawn()
    assert "on farm/farm1" in drawn()


def test_a_few_cells_stay_in_the_order_of_the_run() -> None:
    shown = [line.split()[0] for line in frame(12, 100, 40) if line.startswith("cu130-")]
    assert shown == [f"cu130-{number}" for number in range(12)]


@given(st.lists(KINDS, min_size=1, max_size=80), st.integers(1, 40))
def test_what_is_shown_is_what_needs_to_be_seen(kinds: list[str], room: int) -> None:
    rows = [CellRow(str(number), kind, kind) for number, kind in enumerate(kinds)]
    shown = chosen(rows, room)
    assert len(shown) == min(len(rows), room)
    assert len({one.name for one in shown}) == len(shown)
    left = [one.kind for one in rows if one not in shown]
    for first, later in (("working", "failed"), ("failed", "ended"), ("failed", "waiting")):
        if first in left:
            assert not any(one.kind == later for one in shown)
    assert sum(int(one.split()[0]) for one in counts(rows).split(", ")) == len(rows)


def test_without_a_terminal_each_change_is_a_line() -> None:
    stream = io.StringIO()
    with PlainRun(stream, names_of(3)) as display:
        play(display, names_of(3))
        display.end("cu130-1 linux/amd64", "passed", failed=False)
    said = [line for line in stream.getvalue().splitlines() if line.startswith("smforge: ")]
    assert said[:2] == [
        "smforge: cell 1 of 3: cu130-0 linux/amd64: checking",
        "smforge: cell 1 of 3: cu130-0 linux/amd64: failed in 0:00 (1 failed, 2 waiting)",
    ]
    assert said[3:5] == [
        "smforge: cell 2 of 3: cu130-1 linux/amd64: preflight",
        "smforge: cell 2 of 3: cu130-1 linux/amd64: building",
    ]
    assert "steps from the cache (1 failed, 1 passed, 1 waiting)" in said[-1]
    assert "[broken: broken 1/1] failed: RUN" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_display_fits_the_stream() -> None:
    assert isinstance(choose_run(io.StringIO(), names_of(2), quiet=True), SilentRun)
    assert isinstance(choose_run(io.StringIO(), names_of(2), quiet=False), PlainRun)


IN_A_TERMINAL = """
import sys, time
from smforge.workflow.building.messages import Messages
names = [f"cu130-{number} linux/amd64" for number in range(60)]
with Messages().of_run(names) as messages:
    messages.begun(names[0])
    messages.announce("fetching the sources of cutlass")
    messages.stage(names[0], "auditing")
    print("this is the output")
    sys.stderr.write("smforge: it failed\\n")
    messages.run.end(names[0], "failed", failed=True, note="it failed")
    time.sleep(0.6)
    open(sys.argv[1], "w").close()
    time.sleep(0.6)
"""


@pytest.mark.parametrize("no_color", [False, True])
def test_in_a_terminal_lines_stand_above_the_table_and_a_resize_is_followed(
    tmp_path: Path, no_color: bool
) -> None:
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 12, 80, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    environment = {key: value for key, value in os.environ.items()
                   if key not in {"NO_COLOR", "COLUMNS", "LINES"}}  # fmt: skip
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    resized = tmp_path / "resize"
    with subprocess.Popen(
        (sys.executable, "-c", IN_A_TERMINAL, str(resized)),
        env=environment, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen, changed = b"", False
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:
                break  # Linux: the other side is closed.
            if not part:
                break
            seen += part
            if not changed and resized.exists():
                fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 40, 0, 0))
                changed = True
        assert process.stdout is not None
        assert process.stdout.read() == "this is the output\n"
    os.close(ours)
    assert process.returncode == 0
    text = seen.decode()
    assert changed
    assert "smforge: fetching the sources of cutlass\r\n" in text
    assert "smforge: it failed\r\n" in text
    assert "1 failed, 59 waiting" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "and 52 more: 52 waiting" in text
    assert "and 56 more: 56 waiting" in text
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", text)) is not no_color
    assert text.rstrip().endswith(("\x1b[2K", "\x1b[?25h")), "the table is wiped at the end"
