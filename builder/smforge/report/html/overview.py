"""The tab of all subjects: subjects by devices, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from smforge.report import model, outline
from smforge.report.html.audit_words import SUBJECTS, SUBJECTS_HINT
from smforge.report.html.matrix import Cell, Column, Row, Tab, Words
from smforge.report.state import State, together
from smforge.report.text.wording import plural

_BADNESS = (
    State.NONE,
    State.PARTIAL,
    State.UNCLEAR,
    State.PTX,
    State.NATIVE,
    State.EXCUSED,
    State.FOREIGN,
    State.UNREACHABLE,
    State.EMPTY,
)
_MAY_RUN = frozenset({State.PARTIAL, State.UNCLEAR, State.PTX, State.NATIVE})


def worst(states: Iterable[State]) -> int:
    """How bad the worst of these states is; 0 is the worst."""
    return min((_BADNESS.index(state) for state in states), default=len(_BADNESS))


def with_overview(
    reports: Sequence[model.Report], tabs: Sequence[Tab], words: Words, without_code: int = 0
) -> tuple[Tab, ...]:
    """The one tab; or the tab of all subjects, and after it theirs in the order of its rows.

    The first tab says that `without_code` more subjects had nothing to judge.
    """
    first, *others = tabs if len(tabs) == 1 else _all_subjects(reports, tabs, words)
    if without_code:
        left_out = ("Not judged", f"{plural(without_code, 'subject')} without GPU code")
        first = replace(first, facts=(*first.facts, left_out))
    return (first, *others)


def _all_subjects(
    reports: Sequence[model.Report], tabs: Sequence[Tab], words: Words
) -> tuple[Tab, ...]:
    named = [
        (report, replace(tab, id=name))
        for report, tab, name in zip(reports, tabs, short_names(reports), strict=True)
    ]
    named.sort(key=lambda one: outline.badness(one[0]))
    rows = tuple(_row(*one) for one in named)
    holds = f"{plural(sum(row.count for row in rows), words.item)} in all that was read"
    first = Tab(
        id="",
        title=plural(len(tabs), "subject"),
        outcome=named[0][1].outcome,
        headline=outline.headline_of_all(reports),
        words=replace(words, **SUBJECTS, hint=SUBJECTS_HINT),
        facts=(*_shared_facts(tabs), ("Holds", holds)),
        columns=tuple(_column(at, tabs, rows) for at in range(len(tabs[0].columns))),
        rows=rows,
    )
    return (first, *(tab for _, tab in named))


def short_names(reports: Sequence[model.Report]) -> list[str]:
    """A name for each subject: name and version of a wheel, where that is enough."""
    names = [report.subject.name for report in reports]
    short = [_short(report.subject) for report in reports]
    often = Counter(short)
    chosen = [one if often[one] == 1 else name for one, name in zip(short, names, strict=True)]
    seen: Counter[str] = Counter()
    found = []
    for one in chosen:
        seen[one] += 1
        found.append(one if seen[one] == 1 else f"{one} ({seen[one]})")
    return found


def _short(subject: model.Subject) -> str:
    parts = subject.name.split("-")
    return " ".join(parts[:2]) if subject.kind == "wheel" and len(parts) > 2 else subject.name


def _row(report: model.Report, tab: Tab) -> Row:
    lost = outline.unread(report)
    return Row(
        id=tab.id,
        section="",
        facts=() if lost else (("Libraries", plural(len(tab.rows), "library", "libraries")),),
        count=sum(row.count for row in tab.rows),
        cells=tuple(
            Cell(outline.state_on(report, column.id), column.tally) for column in tab.columns
        ),
        outcome=tab.outcome,
    )


def _shared_facts(tabs: Sequence[Tab]) -> tuple[tuple[str, str], ...]:
    """What is true of all subjects, as each of them says it."""
    shared = set(tabs[0].facts).intersection(*(tab.facts for tab in tabs))
    return tuple(fact for fact in tabs[0].facts if fact in shared and fact[0] != "Holds")


def _column(at: int, tabs: Sequence[Tab], rows: Sequence[Row]) -> Column:
    cells = [row.cells[at] for row in rows]
    return replace(
        tabs[0].columns[at],
        state=_together([cell.state for cell in cells]),
        tally=together(cell.tally for cell in cells),
    )


def _together(states: Sequence[State]) -> State:
    """The state of several subjects: the worst, and partial where others run.

    A subject without GPU code has no answer for a device.
    """
    held: list[State] = [state for state in states if state is not State.EMPTY]
    if not held:
        return State.EMPTY
    found = min(held, key=_BADNESS.index)
    return State.PARTIAL if found is State.NONE and _MAY_RUN & set(held) else found
