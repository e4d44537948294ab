"""Escapes foreign text for GitHub's Markdown, so that none of it is read as markup."""

from __future__ import annotations

import re

from smforge.report.text.printable import printable

_MARKUP = re.compile(r"([\\`*_\[\]#|~$@]|:(?=//|[\w+-]+:))")
"""Emphasis, code, links, references to issues and people, formulas, emoji and addresses."""
_ADDRESS = re.compile(r"https?://[^\s<>|`\\]+")
_TICKS = re.compile("`+")


def plain(text: str) -> str:
    """Text in a paragraph, a heading or a cell of a table."""
    return _entities(_MARKUP.sub(r"\\\1", _line(text)))


def code(text: str) -> str:
    """Text as a code span, whatever it holds: the fence is longer than any row of backticks."""
    line = _line(text)
    fence = "`" * (1 + max((len(row) for row in _TICKS.findall(line)), default=0))
    space = " " if line[:1] in "` " or line[-1:] in "` " else ""
    return f"{fence}{space}{line}{space}{fence}"


def cell_code(text: str) -> str:
    """Text as code in a cell of a table, which a bar would end even within a code span."""
    if "|" not in text:
        return code(text)
    escaped = _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", html(text))
    return f"<code>{escaped}</code>"


def html(text: str) -> str:
    """Text within an HTML element, where backslashes escape nothing."""
    return _entities(_line(text))


def link(text: str) -> str:
    """An address that can be followed; anything else is plain text."""
    return f"<{text}>" if _ADDRESS.fullmatch(text) and text.isprintable() else plain(text)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
