"""Text in columns: within the width, nothing lost in wrapping, a mark where something is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.report.text.layout import (
    Column,
    cells,
    cut,
    grid,
    paragraph,
    rendered,
    shortened,
    tied,
)

WORDS = st.text(st.sampled_from("abcdefgh ●中"), max_size=60)
STYLED = st.lists(st.tuples(WORDS, st.sampled_from(["", "bold", "dim", "bold red"])), max_size=4)
WIDTHS = st.integers(12, 50)


@given(STYLED, WIDTHS, st.integers(0, 4))
def test_wrapped_text_fits_and_loses_nothing(
    text: list[tuple[str, str]], width: int, indent: int
) -> None:
    lines = rendered(list(paragraph(text, width, indent=indent)), color=False).split("\n")
    assert all(cells(line) <= width for line in lines)
    whole = "".join(part for part, _ in text)
    assert "".join("".join(lines).split()) == "".join(whole.split())


@given(STYLED, WIDTHS)
def test_what_is_cut_says_so(text: list[tuple[str, str]], width: int) -> None:
    line = rendered([cut(text, width, indent=2)], color=False)
    whole = "".join(part for part, _ in text)
    assert cells(line) <= width
    assert line.rstrip() == f"  {whole}".rstrip() or line.endswith("…")


@given(
    st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4),
    WIDTHS,
    st.tuples(*[st.sampled_from(["left", "center", "right"])] * 3),
    st.booleans(),
)
def test_columns_fit(
    texts: list[tuple[str, str, str]], width: int, sides: tuple[str, ...], stretch: bool
) -> None:
    columns = [
        Column(side, cut=at == 0, stretch=stretch and at == 0)  # type: ignore[arg-type]
        for at, side in enumerate(sides)  # drawn from its words
    ]
    rows = [[[(text, "")] for text in row] for row in texts]
    lines = rendered(list(grid(columns, rows, width)), color=False).split("\n")
    assert all(cells(line) <= width for line in lines)


def test_tied_words_share_a_line_and_their_spaces_are_plain() -> None:
    text = [(f"{tied('12 missing')}, {tied('3 for others')}", "")]
    assert rendered(list(paragraph(text, 24)), color=False) == "12 missing, 3 for others"
    assert rendered(list(paragraph(text, 20)), color=False) == "12 missing,\n3 for others"


def test_a_grid_lines_its_columns_up() -> None:
    rows = [[[("7", "")], [("a long text of words", "")]], [[("1,200", "")], [("short", "")]]]
    columns = [Column("right", least=6), Column()]
    assert rendered(list(grid(columns, rows, 22)), color=False).split("\n") == [
        "     7  a long text of",
        "        words",
        " 1,200  short",
    ]


def test_a_stretched_column_pushes_the_others_to_the_edge() -> None:
    columns = [Column(cut=True, stretch=True), Column("right")]
    rows = [[[("name.so", "")], [("3 of 9", "")]], [[("a" * 30, "")], [("1", "")]]]
    assert rendered(list(grid(columns, rows, 24)), color=False).split("\n") == [
        "name.so           3 of 9",
        "aaaaaaaaaaaaaaa…       1",
    ]


@given(STYLED, WIDTHS)
def test_colours_change_nothing_but_colours(text: list[tuple[str, str]], width: int) -> None:
    lines = list(paragraph(text, width))
    coloured = rendered(lines, color=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == rendered(lines, color=False)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("中文", 4), ("e\u0301", 1), ("●◐✗", 3)])
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("paths", "most", "shown"),
    [
        (["a/b.so"], 20, ["a/b.so"]),
        (["package/folder/library_of_kernels.so"], 20, ["packag…of_kernels.so"]),
        (
            [f"cache/of/kernels/{one}/a/gemm_of_words_sm90.so" for one in ("first", "second")],
            30,
            ["cache/o…first…of_words_sm90.so", "cache/o…second…f_words_sm90.so"],
        ),
        (
            [f"gemm_of_many_{one}_words_and_more_sm90.so" for one in "abc"],
            20,
            ["gemm_…a…more_sm90.so", "gemm_…b…more_sm90.so", "gemm_…c…more_sm90.so"],
        ),
    ],
)
def test_paths_that_would_look_alike_show_what_differs(
    paths: list[str], most: int, shown: list[str]
) -> None:
    assert shortened(paths, most) == shown


@given(st.lists(st.text(st.sampled_from("ab/"), max_size=40), max_size=6), st.integers(16, 40))
def test_shortened_paths_fit(paths: list[str], most: int) -> None:
    found = shortened(paths, most)
    assert len(found) == len(paths)
    assert all(len(one) <= most for one in found)
    assert all(one == path for one, path in zip(found, paths, strict=True) if len(path) <= most)
