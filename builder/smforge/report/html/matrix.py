"""The data of the page: rows by devices, with the details of each cell.

The same records carry an audit (libraries by devices) and a preflight (sources by devices);
the script in data/ reads them under these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smforge.report.state import Counts, State


@dataclass(frozen=True, slots=True)
class Words:
    """The words for rows and for the items counted in them."""

    row: str
    rows: str
    item: str
    items: str
    family: str
    families: str
    embedded: str
    """The text before the codes of a group."""
    hint: str
    """How to use the matrix, in a sentence or two."""
    lacking: str = "missing"
    """The word for items that cannot run."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A state or a way to reach a device, explained."""

    id: str
    word: str
    text: str
    state: State | None = None
    """The state whose colour and shape a way to reach a device has."""
    number: str = ""
    """What the number in a cell of this state counts."""


@dataclass(frozen=True, slots=True)
class Column:
    """A device."""

    id: str
    architecture: str
    products: tuple[str, ...]
    required: bool
    state: State
    """Over all rows."""
    tally: Counts


@dataclass(frozen=True, slots=True)
class Counted:
    """A family and how many are of it; `name` is an index into `Page.names`."""

    name: int
    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """Things in a row that are embedded as the same code."""

    codes: tuple[str, ...]
    """``sm_90a``, ``compute_80``."""
    reach: tuple[str, ...]
    """One id of `Page.reaches` per column."""
    families: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A row on a device."""

    state: State
    tally: Counts
    excused: tuple[Counted, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """Code objects of a row, of one kind and target."""

    kind: str
    code: str
    isa: str | None
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Row:
    """A library, or a source."""

    id: str
    """Its path: what a deep link names."""
    section: str
    """Rows of one section have one heading; empty for none."""
    facts: tuple[tuple[str, str], ...]
    count: int
    cells: tuple[Cell, ...]
    """One per column."""
    groups: tuple[Group, ...] = ()
    stored: tuple[Stored, ...] = ()
    outcome: str = ""
    """The verdict, where the row is a subject; a click then leads to its tab."""


@dataclass(frozen=True, slots=True)
class Note:
    """A finding."""

    rule: str
    level: str
    message: str
    remedy: str | None
    row: str | None
    columns: tuple[str, ...] = ()
    families: tuple[Counted, ...] = ()
    allowed: str | None = None


@dataclass(frozen=True, slots=True)
class Excuse:
    """What a policy excused, and why."""

    pattern: str
    reason: str
    origin: str
    count: int
    columns: tuple[str, ...]
    families: tuple[Counted, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """One subject with its verdict; or, where a page has several subjects, all of them."""

    id: str
    """What a deep link names; empty for the tab of all subjects, and where there is one tab."""
    title: str
    outcome: str
    headline: str
    words: Words
    facts: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = ()
    excuses: tuple[Excuse, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One report: a subject, or several of which each has a tab."""

    report: str
    """``audit`` or ``preflight``."""
    tabs: tuple[Tab, ...]
    """One; or that of all subjects, and then one for each, the worst first."""
    states: tuple[Meaning, ...]
    reaches: tuple[Meaning, ...]
    """The worst first."""
    names: tuple[str, ...]
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which columns each code runs on or, being PTX, can be assembled for."""


class Names:
    """The names of a page, each stored once."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def counted(self, name: str, count: int) -> Counted:
        """Refer to a name."""
        return Counted(self._index.setdefault(name, len(self._index)), count)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self._index)
