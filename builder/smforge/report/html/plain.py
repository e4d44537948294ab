"""The page for a browser that runs no script: tables and sentences, nothing to open.

All foreign text passes `markup`, which leaves no character that HTML gives a meaning to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from smforge.report.html.matrix import Cell, Column, Excuse, Meaning, Note, Page, Row, Tab
from smforge.report.state import SHOWN, State

_MOST_ROWS = 100
"""Rows of one table, so that a page of many libraries stays small; the JSON report has all."""
_MOST_NOTES = 40


def markup(text: str) -> str:
    """Foreign text as HTML in ASCII; characters that HTML cannot hold become question marks."""
    held = "".join(one if one.isprintable() or one == " " else "\ufffd" for one in text)
    return escape(held).encode("ascii", "xmlcharrefreplace").decode()


def plain_page(page: Page) -> str:
    """The whole page as HTML, to stand within ``noscript``."""
    states = {State(one.id): one for one in page.states}
    return "\n".join(line for tab in page.tabs for line in _tab(tab, states))


def _tab(tab: Tab, states: Mapping[State, Meaning]) -> Iterator[str]:
    yield '<div class="plain">'
    yield f"<h1>{markup(tab.title)}</h1>"
    yield f"<p><strong>{markup(tab.outcome)}</strong>: {markup(tab.headline)}</p>"
    yield f"<dl>{''.join(_fact(*fact) for fact in tab.facts)}</dl>"
    if tab.rows:
        yield f"<h2>{markup(tab.words.rows.capitalize())} by device</h2>"
        yield from _matrix(tab, states)
    if tab.notes:
        yield "<h2>Findings</h2>"
        yield from _list([_note(one) for one in tab.notes[:_MOST_NOTES]])
        yield from _more(len(tab.notes) - _MOST_NOTES, "finding")
    if tab.excuses:
        yield "<h2>Excused by policy</h2>"
        yield from _list([_excuse(one) for one in tab.excuses[:_MOST_NOTES]])
        yield from _more(len(tab.excuses) - _MOST_NOTES, "excuse")
    yield "</div>"


def _fact(name: str, text: str) -> str:
    return f"<div><dt>{markup(name)}</dt><dd>{markup(text)}</dd></div>"


def _matrix(tab: Tab, states: Mapping[State, Meaning]) -> Iterator[str]:
    used = {cell.state for row in tab.rows[:_MOST_ROWS] for cell in row.cells}
    meant = [
        _meaning(state, one, tab.words.items) for state, one in states.items() if state in used
    ]
    yield from _list(meant)
    yield '<div class="scroll"><table>'
    heads = "".join(_head(column) for column in tab.columns)
    yield f'<thead><tr><th scope="col">{markup(tab.words.row)}</th>{heads}</tr></thead><tbody>'
    for row in tab.rows[:_MOST_ROWS]:
        yield _row(row, states)
    yield "</tbody></table></div>"
    yield from _more(len(tab.rows) - _MOST_ROWS, tab.words.rows)


def _meaning(state: State, one: Meaning, items: str) -> str:
    number = f" Number: {items} {one.number}." if one.number else ""
    return markup(f"{SHOWN[state].mark} {one.word}: {one.text}{number}".strip())


def _head(column: Column) -> str:
    required = " required" if column.required else ""
    return f'<th scope="col">{markup(column.id)}{required}</th>'


def _row(row: Row, states: Mapping[State, Meaning]) -> str:
    verdict = f" ({markup(row.outcome)})" if row.outcome else ""
    cells = "".join(f'<td class="{one.state.value}">{_cell(one, states)}</td>' for one in row.cells)
    return f'<tr><th scope="row">{markup(row.id)}{verdict}</th>{cells}</tr>'


def _cell(cell: Cell, states: Mapping[State, Meaning]) -> str:
    counts, state = cell.tally, cell.state
    counted = {
        State.NATIVE: counts.native,
        State.PTX: counts.ptx,
        State.PARTIAL: counts.missing,
        State.NONE: counts.missing,
        State.EXCUSED: counts.all_excused,
        State.FOREIGN: counts.foreign,
        State.UNREACHABLE: counts.unreachable,
        State.UNCLEAR: counts.unclear,
    }.get(state, 0)
    parts = [SHOWN[state].mark, states[state].word if state in states else "nothing"]
    if counted:
        parts.append(f"{counted:,}")
    if counts.all_excused and state is not State.EXCUSED:
        parts.append(f"+{counts.all_excused:,} excused")
    return markup(" ".join(parts).strip())


def _note(note: Note) -> str:
    remedy = f" {markup(note.remedy)}" if note.remedy else ""
    allowed = f" Excused: {markup(note.allowed)}" if note.allowed else ""
    return f"<b>{note.level} {markup(note.rule)}</b>: {markup(note.message)}{remedy}{allowed}"


def _excuse(one: Excuse) -> str:
    where = f"{one.count:,} on {', '.join(one.columns)}"
    return f"<code>{markup(one.pattern)}</code>: {markup(f'{where}. {one.reason} ({one.origin})')}"


def _list(entries: Iterable[str]) -> Iterator[str]:
    yield "<ul>"
    for entry in entries:
        yield f"<li>{entry}</li>"
    yield "</ul>"


def _more(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"<p>And {number:,} more ({markup(what)}): see the report as JSON.</p>"
