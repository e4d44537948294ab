"""The table and the Markdown of a comparison."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smforge.report.diff.markdown import render_markdown
from smforge.report.diff.table import render_table
from smforge.report.text.layout import WIDTH

LONG = "_ZN" + "".join(f"20a{i:019}" for i in range(12)) + "EvPi"


def test_what_is_lost_comes_before_what_is_gained(make: Any) -> None:
    old = make.side(make.library("x.so", (make.code("sm_90", "lost_one"),)))
    new = make.side(make.library("x.so", (make.code("sm_90", "new_one"),)))
    for text in (
        render_table(make.compare(old, new)),
        render_markdown(make.compare(old, new)).replace("\\", ""),
    ):
        assert text.index("lost_one") < text.index("new_one")


def test_a_pass_says_what_it_covers(make: Any) -> None:
    side = make.side(make.library("x.so", (make.code("sm_90", "k"),)))
    assert "PASS  Nothing is lost on 9.0." in render_table(make.compare(side, side, "9.0"))
    never = render_table(make.compare(side, side, "9.0 12.0"))
    assert "some.whl runs nothing on 12.0, so nothing can be lost there." in never


def test_the_table_keeps_its_width(make: Any) -> None:
    path = "/".join(["folder"] * 30) + "/x.so"
    old = make.side(make.library(path, (make.code("sm_90", LONG, "gone"),)))
    new = make.side(make.library("y.so", (make.code("sm_80", LONG),)))
    lines = render_table(make.compare(old, new)).splitlines()
    assert max(map(len, lines)) <= WIDTH


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=30))
def test_hostile_names_cannot_steer_a_terminal_or_start_markup(make: Any, name: str) -> None:
    old = make.side(make.library(f"x{name}", (make.code("sm_90", name),)), name=name)
    new = make.side(make.library("y", (make.code("sm_80", "k"),)))
    diff = make.compare(old, new)
    table, markdown = render_table(diff), render_markdown(diff)
    for text in (table, markdown):
        assert all(one.isprintable() or one == "\n" for one in text)
        text.encode()
    assert "<" not in markdown
