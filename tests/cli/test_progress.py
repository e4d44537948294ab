"""The line that commands show while they work."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.cli import progress
from smforge.cli.progress import ProgressLine


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def line(*, at: float, done: int, whole: int | None, unit: str = "B", count: int = 1) -> str:
    shown = ProgressLine(io.StringIO(), quiet=False)
    shown.subject(2, count, "x.whl")
    shown.task("reading", lambda: (done, whole), unit=unit)
    shown.item("pkg/_C.so")
    return shown.text(shown._begun + at)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"at": 4, "done": 200_000_000, "whole": 800_000_000, "count": 5},
            "2 of 5: x.whl: reading pkg/_C.so, 200.0 MB of 800.0 MB (25 %), about 12 s left",
        ),
        ({"at": 1.5, "done": 10, "whole": 100}, "reading pkg/_C.so, 10 B of 100 B (10 %), for 2 s"),
        ({"at": 40, "done": 0, "whole": 100}, "reading pkg/_C.so, 0 B of 100 B (0 %), for 40 s"),
        ({"at": 300, "done": 5000, "whole": None}, "reading pkg/_C.so, 5.0 kB, for 5 min"),
        ({"at": 9, "done": 7, "whole": 5}, "reading pkg/_C.so, 5 B of 5 B (100 %), about 0 s left"),
        (
            {"at": 600, "done": 3, "whole": 76, "unit": "units"},
            "reading pkg/_C.so, 3 of 76 units (3 %), about 4.1 h left",
        ),
    ],
)
def test_the_line_says_how_much_of_all_is_done(given: dict[str, int], text: str) -> None:
    assert line(**given) == text  # type: ignore[arg-type]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SILENT_SECONDS", "_TERMINAL_SECONDS", "_PLAIN_SECONDS"):
        monkeypatch.setattr(progress, name, 0.02)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come")


@pytest.mark.usefixtures("quick")
def test_a_line_is_shown_while_nothing_is_told() -> None:
    stream = Terminal()
    with ProgressLine(stream, quiet=False) as shown:
        shown.task("fetching x.whl", lambda: (1, 4))
        until(lambda: stream.getvalue().count("\r\x1b[Kfetching x.whl, 1 B of 4 B (25 %)") > 2)
    assert stream.getvalue().endswith("\r\x1b[K")
    length = len(stream.getvalue())
    time.sleep(0.1)
    assert len(stream.getvalue()) == length


@pytest.mark.usefixtures("quick")
def test_elsewhere_than_on_a_terminal_lines_are_whole_and_plain() -> None:
    stream = io.StringIO()
    with ProgressLine(stream, quiet=False) as shown:
        shown.task("reading")
        shown.item("evil\x1b[31m\n" + "x" * 300 + "/_C.so")
        until(lambda: stream.getvalue().count("\n") > 1)
    for row in stream.getvalue().splitlines():
        assert row.startswith("smforge: reading evil")
        assert "_C.so" in row
        assert len(row) <= 110
        assert "\x1b" not in row


@pytest.mark.usefixtures("quick")
def test_quiet_says_nothing() -> None:
    stream = Terminal()
    shown = ProgressLine(stream, quiet=True)
    shown.task("reading", lambda: (1, 2))
    time.sleep(0.1)
    shown.clear()
    assert stream.getvalue() == ""


def test_no_output_of_a_quick_command_has_a_line(
    smforge: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "k.ptx").write_text(".version 8.0\n.target sm_80\n.visible .entry k() { ret; }\n")
    ran = smforge("audit", tmp_path / "k.ptx", "--require", "8.0")
    assert not re.search("reading|judging", ran.err)  # type: ignore[attr-defined]
