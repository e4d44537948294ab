"""A comparison in words and rows, which the table and the Markdown share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from smforge.arch.devices import find_device
from smforge.arch.target import ComputeCapability
from smforge.report.diff import model
from smforge.report.text.wording import size

_MOST_FAMILIES = 12
_MOST_GROUPS = 12
"""What people read of one heading and of one section; JSON has all."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a section on families is about, and its words."""

    title: str
    which: Callable[[model.FamilyChange], Mapping[str, int]]
    """Per device how many."""
    stayed: str
    replaced: str


_SUBJECTS = (
    Subject("Lost", lambda one: one.lost, "no code for it now", "fewer of the family"),
    Subject(
        "Runs from PTX now", lambda one: one.demoted, "no machine code now", "no machine code now"
    ),
    Subject("Gained", lambda one: one.gained, "code for it now", "more of the family"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers stands at the right, one of text at the left."""

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """One table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Families that went the same way."""

    heading: str
    families: tuple[tuple[int, str], ...]
    left_off: int


@dataclass(frozen=True, slots=True)
class Groups:
    """What happened to families, by what happened."""

    title: str
    groups: tuple[Group, ...]
    left_off: int


def title(diff: model.Diff) -> str:
    """What is compared."""
    return f"{diff.old.name} → {diff.new.name}"


def sentences(diff: model.Diff) -> Iterator[str]:
    """The reasons of the verdict, and what limits it."""
    yield from diff.failures
    for doubt in diff.doubts:
        yield f"Not certain: {doubt}"
    if diff.verdict == "nothing":
        yield f"{diff.old.name} holds no GPU code, so there is nothing to lose."
    if diff.verdict == "pass":
        required = ", ".join(diff.required)
        yield f"Nothing is lost on {required}." if required else "Nothing ran, so nothing is lost."
    unused = [one for one in diff.required if (of := diff.devices.get(one)) and not of.runs.old]
    if unused:
        yield f"{diff.old.name} runs nothing on {', '.join(unused)}, so nothing can be lost there."
    others = [
        f"{name} ({one.lost:,})"
        for name, one in diff.devices.items()
        if one.lost and not one.required
    ]
    if others:
        yield f"Lost on devices that are not required: {', '.join(others)}; --require names what."
    if diff.compared == "counts":
        listless = [one.name for one in (diff.old, diff.new) if one.saved]
        yield (
            f"Compared by the number of {diff.unit} alone, since not every kernel is listed in "
            f"{' and '.join(dict.fromkeys(listless))}: one that was lost while another came is not "
            "seen, and what moved to another library counts as lost."
        )
    if diff.native_only:
        yield "PTX does not count as running."


def tables(diff: model.Diff) -> Iterator[Rows]:
    """Devices, libraries and what moved between them; empty ones are left out."""
    return (rows for make in (_devices, _libraries, _moved) if (rows := make(diff)).rows)


def families(diff: model.Diff) -> Iterator[Groups]:
    """What was lost, what runs from PTX now and what was gained, as far as required devices go."""
    for subject in _SUBJECTS:
        found = _grouped(diff, subject)
        if found:
            shown = tuple(found[:_MOST_GROUPS])
            yield Groups(subject.title, shown, len(found) - len(shown))


def _grouped(diff: model.Diff, subject: Subject) -> list[Group]:
    """Families under headings that say what happened where, those that count first."""
    required = [name for name, one in diff.devices.items() if one.required]
    sums: dict[tuple[bool, str], Counter[str]] = {}
    for one in diff.families:
        hit = {name: number for name, number in subject.which(one).items() if name in required}
        if hit:
            where = "every required device" if len(hit) == len(required) > 1 else ", ".join(hit)
            group = sums.setdefault((one.allowed, f"{_told(one, subject)}, on {where}"), Counter())
            group[one.family] += max(hit.values())
    ordered = sorted(sums.items(), key=lambda item: (item[0][0], -item[1].total()))
    return [
        Group(
            f"{heading} (allowed)" if allowed else heading,
            tuple((count, name) for name, count in counted.most_common(_MOST_FAMILIES)),
            max(0, len(counted) - _MOST_FAMILIES),
        )
        for (allowed, heading), counted in ordered
    ]


def _told(one: model.FamilyChange, subject: Subject) -> str:
    old, new = one.old_library or "", one.new_library or ""
    match one.change:
        case "added":
            return f"new in {new}"
        case "removed":
            return f"removed from {old}"
        case "moved":
            return f"moved from {old} to {new}"
        case change:
            words = subject.replaced if change == "replaced" else subject.stayed
            return f"{words}, in {new}" if old == new else f"{words}, from {old} to {new}"


def _devices(diff: model.Diff) -> Rows:
    unit = diff.unit
    rows = []
    for name, one in diff.devices.items():
        if one.runs.old or one.runs.new or one.required:
            known = find_device(ComputeCapability.parse(name))
            sold_as = known.products[0] if known and known.products else ""
            rows.append(
                (
                    name,
                    sold_as,
                    "yes" if one.required else "",
                    _number(one.runs.old),
                    _number(one.runs.new),
                    _number(one.lost),
                    _number(one.gained),
                    _number(one.demoted),
                )
            )
    columns = (
        Column("device"),
        Column("for example"),
        Column("required"),
        Column(f"{unit} before", number=True),
        Column("now", number=True),
        Column("lost", number=True),
        Column("gained", number=True),
        Column("PTX now", number=True),
    )
    return Rows("Devices", columns, tuple(rows))


def _libraries(diff: model.Diff) -> Rows:
    rows = tuple(
        (
            one.new or one.old or "",
            _step(one.size, size),
            _growth(one.size),
            _step(one.count, _number),
            _library_words(one),
        )
        for one in sorted(diff.libraries, key=lambda one: one.new or one.old or "")
    )
    columns = (
        Column("library"),
        Column("size", number=True),
        Column("", number=True),
        Column(diff.unit, number=True),
        Column("targets and devices"),
    )
    return Rows("Libraries", columns, rows)


def _library_words(one: model.LibraryChange) -> str:
    if one.old is None:
        return "new"
    if one.new is None:
        return "gone"
    words = [
        *(f"-{name}" for name in one.targets_lost),
        *(f"+{name}" for name in one.targets_gained),
    ]
    for verb, devices in (("no longer", one.devices_lost), ("now also", one.devices_gained)):
        if devices:
            words.append(f"{verb} on {' '.join(devices)}")
    return " ".join(words)


def _moved(diff: model.Diff) -> Rows:
    counted: Counter[tuple[str, str]] = Counter()
    for one in diff.families:
        if one.old_library and one.new_library and one.old_library != one.new_library:
            counted[one.old_library, one.new_library] += one.new
    known = {(one.old, one.new) for one in diff.libraries}
    rows = tuple(
        (_number(count), old, new)
        for (old, new), count in counted.most_common()
        if (old, new) not in known
    )
    columns = (Column("kernels", number=True), Column("from"), Column("to"))
    return Rows("Moved", columns, rows)


def _step(step: model.Before, write: Callable[[int], str]) -> str:
    words = [write(one) for one in (step.old, step.new) if one is not None]
    return " → ".join(dict.fromkeys(words))


def _growth(step: model.Before) -> str:
    if not step.old or step.new is None or step.new == step.old:
        return ""
    return f"{(step.new - step.old) / step.old:+.0%}"


def _number(value: int | None) -> str:
    return f"{value:,}" if value else "-"
