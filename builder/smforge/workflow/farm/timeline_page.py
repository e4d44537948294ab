"""The timeline of a run as one HTML file: bars, and the same in a table. It has no script.

The colours are those of the other pages (smforge.report.html). A content security policy allows
the page's own style, by its hash, and nothing else; all foreign text passes `markup`.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from string import Template

from smforge.amounts import clock_text
from smforge.report.html.plain import markup
from smforge.version import __version__
from smforge.workflow.farm.timeline import Bar, CellBar, Timeline

_WIDTH, _RIGHT = 1200, 90
"""Of the drawing, and of the room for times right of the bars, in its own units."""
_LETTER, _LEAST, _MOST = 7.5, 60, 420
"""About the width of a letter, and bounds for the room for names."""
_ROW, _BAR = 22, 14
_TICKS = 8
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds between the lines of the time axis: the first with which `_TICKS` are enough."""
_MOST_WITH_TARGETS = 12
_STATES = {"passed": "passed", "up-to-date": "kept"}


def timeline_page(timeline: Timeline) -> str:
    """The page, in ASCII alone."""
    style = _data("timeline.css")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Template(_data("timeline.html")).substitute(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
        style=style,
        state="pass" if timeline.all_passed else "fail",
        headline=markup(_headline(timeline)),
        facts="".join(_facts(timeline)),
        drawing="\n".join(_drawings(timeline)),
        rows="\n".join(_rows(timeline)),
        version=markup(__version__),
    )


def _headline(timeline: Timeline) -> str:
    last = {cell.name: cell.exit_code for cell in timeline.cells}
    passed = sum(code == 0 for code in last.values())
    count = len(last) + len(timeline.not_begun)
    text = f"{passed} of {count} cells passed in {clock_text(timeline.seconds)}"
    if timeline.not_begun:
        text += f", {len(timeline.not_begun)} not begun"
    return text + ("." if timeline.ended else "; the run has not come to its end.")


def _facts(timeline: Timeline) -> Iterator[str]:
    began = timeline.began.strftime("%Y-%m-%d %H:%M:%S UTC")
    critical = sum(cell.critical_seconds for cell in timeline.cells)
    steps = f"{timeline.cached:,} of {timeline.steps:,} from the cache"
    for name, value in (
        ("Began", began),
        ("Steps", steps),
        ("Critical path", f"{clock_text(critical)} in targets, of {clock_text(timeline.seconds)}"),
        ("Did not pass", ", ".join(_not_passed(timeline)) or "none"),
        ("Resumed", f"{len(timeline.resumed)} times" if timeline.resumed else "never"),
        ("Process", timeline.holder),
        *(("Node", text) for text in _nodes(timeline)),
    ):
        yield f"<div><dt>{name}</dt><dd>{markup(value)}</dd></div>"


def _nodes(timeline: Timeline) -> Iterator[str]:
    """How many cells each node built, where there were several."""
    counts = Counter(node for cell in timeline.cells for node in cell.nodes)
    for node, count in sorted(counts.items()) if len(counts) > 1 else ():
        yield f"{node}: {count} cell{'' if count == 1 else 's'}"


def _not_passed(timeline: Timeline) -> tuple[str, ...]:
    """The cells whose last build did not end well; those that were not begun are counted above."""
    last = {cell.name: cell.exit_code for cell in timeline.cells}
    return tuple(name for name, code in last.items() if code != 0)


def _drawings(timeline: Timeline) -> Iterator[str]:
    """The drawing; of many cells first one without their targets, which fits a screen or two."""
    if len(timeline.cells) <= _MOST_WITH_TARGETS:
        yield from _drawing(timeline)
        return
    without = replace(timeline, cells=tuple(replace(cell, targets=()) for cell in timeline.cells))
    yield from _drawing(without)
    yield "<details><summary>With the targets of each cell</summary>"
    yield from _drawing(timeline)
    yield "</details>"


def _drawing(timeline: Timeline) -> Iterator[str]:
    lines = sum(1 + len(cell.targets) for cell in timeline.cells)
    height = 30 + lines * _ROW
    axis = _Axis(_room(timeline), max(timeline.seconds, 0.001))
    yield (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img" '
        'aria-label="Bars of cells and targets over time; the table below has the numbers.">'
    )
    step = next((one for one in _STEPS if one * _TICKS >= axis.whole), axis.whole / _TICKS)
    for number in range(int(axis.whole / step) + 1):
        seconds = step * number
        x = axis.at(seconds)
        yield f'<path class="tick" d="M{x:.1f} 18V{height}"/>'
        yield f'<text class="time" x="{x:.1f}" y="12">{clock_text(seconds)}</text>'
    for seconds in timeline.resumed:
        x = axis.at(seconds)
        yield f'<path class="resumed" d="M{x:.1f} 18V{height}"><title>resumed</title></path>'
    y = 26.0
    for mark in _marks(timeline):
        yield from _bar(mark, y, axis)
        y += _ROW
    yield "</svg>"


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a moment of the run is in the drawing."""

    left: float
    whole: float
    """Seconds of the whole run."""

    def at(self, seconds: float) -> float:
        """The place of a moment."""
        return self.left + (_WIDTH - self.left - _RIGHT) * seconds / self.whole


@dataclass(frozen=True, slots=True)
class _Mark:
    """One bar of the drawing."""

    name: str
    note: str
    kind: str
    """``cell`` or ``target``."""
    classes: str
    begin: float
    end: float


def _marks(timeline: Timeline) -> Iterator[_Mark]:
    for cell in timeline.cells:
        state = _STATES.get(cell.result, "failed")
        yield _Mark(cell.name, cell.result, "cell", state, cell.begin, cell.end)
        for bar in cell.targets:
            made = "cached" if _is_cached(bar) else "built"
            classes = f"{made} critical" if bar.critical else made
            yield _Mark(bar.name, _steps(bar), "target", classes, bar.begin, bar.end)


def _bar(mark: _Mark, y: float, axis: _Axis) -> Iterator[str]:
    left = axis.at(mark.begin)
    width = max(3.0, axis.at(mark.end) - left)
    indent = 14 if mark.kind == "target" else 0
    name, took = markup(mark.name), clock_text(mark.end - mark.begin)
    yield f'<text class="{mark.kind}-name" x="{indent}" y="{y + 11:.1f}">{name}</text>'
    yield (
        f'<rect class="{mark.kind} {mark.classes}" x="{left:.1f}" y="{y:.1f}" '
        f'width="{width:.1f}" height="{_BAR}" rx="2"><title>{name}, {took}, {markup(mark.note)}'
        "</title></rect>"
    )
    yield f'<text class="time" x="{left + width + 6:.1f}" y="{y + 11:.1f}">{took}</text>'


def _room(timeline: Timeline) -> float:
    """How much the longest name needs."""
    names = [len(cell.name) for cell in timeline.cells]
    names += [2 + len(bar.name) for cell in timeline.cells for bar in cell.targets]
    return min(_MOST, max(_LEAST, 20 + _LETTER * max(names, default=0)))


def _rows(timeline: Timeline) -> Iterator[str]:
    for cell in timeline.cells:
        begin, took = clock_text(cell.begin), clock_text(cell.seconds)
        yield _row(cell.name, "", begin, took, cell.result, "")
        for bar in cell.targets:
            begin, took = clock_text(bar.begin), clock_text(bar.end - bar.begin)
            path = "critical path" if bar.critical else ""
            yield _row("", bar.name, begin, took, _steps(bar), path)
    for name in timeline.not_begun:
        yield _row(name, "", "", "", "not begun", "")


def _row(*texts: str) -> str:
    return f"<tr>{''.join(f'<td>{markup(text)}</td>' for text in texts)}</tr>"


def _is_cached(bar: Bar) -> bool:
    return bar.cached is not None and bar.cached == bar.steps


def _steps(bar: Bar) -> str:
    steps = "1 step" if bar.steps == 1 else f"{bar.steps} steps"
    return steps if bar.cached is None else f"{steps}, {bar.cached} from the cache"


def timeline_document(timeline: Timeline) -> dict[str, object]:
    """The timeline as plain data; times are seconds from the beginning of the run."""
    return {
        "schema_version": 1,
        "began": timeline.began.isoformat(),
        "seconds": round(timeline.seconds, 3),
        "ended": timeline.ended,
        "resumed": [round(one, 3) for one in timeline.resumed],
        "cells": [_cell_document(cell) for cell in timeline.cells],
        "not_begun": list(timeline.not_begun),
    }


def _cell_document(cell: CellBar) -> dict[str, object]:
    return {
        "cell": cell.name,
        "begin": round(cell.begin, 3),
        "end": round(cell.end, 3),
        "result": cell.result,
        "exit_code": cell.exit_code,
        "critical_seconds": round(cell.critical_seconds, 3),
        "nodes": list(cell.nodes),
        "targets": [
            {
                "target": bar.name,
                "begin": round(bar.begin, 3),
                "end": round(bar.end, 3),
                "steps": bar.steps,
                "cached_steps": bar.cached,
                "critical": bar.critical,
            }
            for bar in cell.targets
        ],
    }


@cache
def _data(name: str) -> str:
    return (files("smforge.workflow.farm") / "data" / name).read_text(encoding="utf-8")
