"""Foreign text in Markdown, read back by a parser of Markdown."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from smforge.report.text.markdown import cell_code, code, html, link, plain
from smforge.report.text.printable import printable

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = st.text(st.sampled_from("`|\\<>&*_[]()!#~$@: ab")) | st.text()


def shown(text: str) -> str:
    """What a reader should see of a text: white space is folded, and nothing is invisible."""
    return printable(" ".join(text.split()))


def pieces(markdown: str) -> list[tuple[str, str]]:
    """Kind and content of all that is written in a document's paragraphs and cells."""
    return [
        (child.type, child.content)
        for token in PARSER.parse(markdown)
        for child in token.children or ()
    ]


@given(NASTY.filter(shown))
def test_a_code_span_holds_any_name(text: str) -> None:
    for markdown in (f"- {code(text)}", f"x {code(text)} y"):
        assert [one for kind, one in pieces(markdown) if kind == "code_inline"] == [shown(text)]


@given(NASTY.filter(shown), NASTY)
def test_a_cell_of_a_table_holds_any_name(text: str, other: str) -> None:
    found = pieces(f"| a | b |\n|---|---|\n| {cell_code(text)} | x{plain(other)} |\n")
    cells = [one for kind, one in found if kind == "code_inline"]
    if not cells:
        between = "".join(one for kind, one in found if kind in {"text", "text_special"})
        assert shown(text) in unescape(between)
    else:
        assert cells == [shown(text)]
    tables = [token.type for token in PARSER.parse(f"| a |\n|---|\n| {cell_code(text)} |\n")]
    assert tables.count("td_open") == 1


@given(NASTY)
def test_plain_text_is_no_markup(text: str) -> None:
    found = pieces(f"x {plain(text)}")
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    assert "".join(one for _, one in found) == f"x {shown(text)}".rstrip()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://example.org/a_b?c=d", "<https://example.org/a_b?c=d>"),
        ("https://example.org/ a", "https\\://example.org/ a"),
        ("see #12", "see \\#12"),
    ],
)
def test_an_address_can_be_followed(text: str, written: str) -> None:
    assert link(text) == written


def test_html_knows_no_backslash() -> None:
    assert html("a_b<c>&`") == "a_b&lt;c&gt;&amp;`"
