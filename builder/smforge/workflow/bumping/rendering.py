"""A bump for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.report.text.printable import printable
from smforge.workflow.bumping.changes import Change
from smforge.workflow.bumping.locks import StaleLocks
from smforge.workflow.bumping.losses import ComponentChange, DeviceChange
from smforge.workflow.bumping.proposal import Proposal

_NAMED = 5
"""How many lost sources are named; the JSON form has them all."""
_COMMIT = 12
"""How much of a commit is shown."""


@dataclass(frozen=True, slots=True)
class Bump:
    """Everything that a bump found, and whether it was written."""

    proposal: Proposal
    components: tuple[ComponentChange, ...] | None
    """None where no preflight was asked for."""
    unexamined: tuple[str, ...]
    """What changes and was not compared, in sentences."""
    locks: tuple[StaleLocks, ...]
    root: Path
    """The checkout that the locks are in."""
    written: bool

    @property
    def loses(self) -> bool:
        """Whether a device loses something, or a build would stop."""
        return any(one.loses for one in self.components or ())


def bump_document(bump: Bump) -> dict[str, Any]:
    """The bump as plain data."""
    return {
        "schema_version": 1,
        "matrix": str(bump.proposal.before.path),
        "written": bump.written,
        "verdict": _verdict(bump),
        "changes": [
            {"path": one.path, "before": one.before, "after": one.after}
            for one in bump.proposal.changes
        ],
        "components": [_component(one) for one in bump.components or ()],
        "unexamined": list(bump.unexamined),
        "locks": [str(path) for one in bump.locks for path in _paths(bump, one)],
        "remarks": list(bump.proposal.remarks),
    }


def _verdict(bump: Bump) -> str:
    if not bump.components:
        return "not examined"
    return "fail" if bump.loses else "pass"


def _component(one: ComponentChange) -> dict[str, Any]:
    return {
        "variant": one.cell.variant,
        "platform": one.cell.platform,
        "before": one.before,
        "after": one.after,
        "remark": one.remark,
        "devices": {
            str(each.device): {
                "before": each.before,
                "after": each.after,
                "lost": list(each.lost),
                "removed": list(each.removed),
                "new": each.new,
            }
            for each in one.devices
        },
        "errors": [
            {"rule": each.rule, "message": each.message, "remedy": each.remedy}
            for each in one.errors
        ],
    }


def bump_table(bump: Bump) -> str:
    """The bump for people."""
    return "\n".join(printable(line) for line in _lines(bump)) + "\n"


def _lines(bump: Bump) -> Iterator[str]:
    proposal = bump.proposal
    if not proposal.changes:
        yield f"{proposal.before.path} has these versions already: nothing changes."
    else:
        yield f"Changes of {proposal.before.path}:"
        yield from _changes(proposal.changes)
    if bump.components:
        yield from ("", "Sources with machine code for each device, before and after:")
        for names, one in _alike(bump.components):
            yield from _change(names, one)
    if bump.unexamined:
        yield from ("", "Not examined:")
        yield from (f"  {one}." for one in bump.unexamined)
    if bump.locks:
        yield from ("", "Locks to resolve anew (make lock):")
        yield from (f"  {path}" for one in bump.locks for path in _paths(bump, one))
    if proposal.remarks:
        yield from ("", "To know, or to decide:")
        yield from (f"  - {one}" for one in proposal.remarks)
    yield ""
    yield _end(bump)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    names = [one.path.removeprefix("$.") for one in changes]
    width = max(map(len, names))
    for name, one in zip(names, changes, strict=True):
        commit = name.endswith(".commit")
        before, after = (
            value[:_COMMIT] if value and commit else value for value in (one.before, one.after)
        )
        if before is None:
            yield f"  {name:<{width}}  new: {after}"
        else:
            yield f"  {name:<{width}}  {before} → {after or 'nothing'}"


def _alike(changes: Sequence[ComponentChange]) -> Iterator[tuple[list[str], ComponentChange]]:
    """Components of cells that change in the same way, together."""
    groups: dict[tuple[object, ...], tuple[list[str], ComponentChange]] = {}
    for one in changes:
        key = (one.before, one.after, one.devices, one.errors, one.remark)
        names, _ = groups.setdefault(key, ([], one))
        names.append(f"{one.cell.variant} {one.cell.platform}")
    yield from groups.values()


def _change(names: list[str], one: ComponentChange) -> Iterator[str]:
    title = one.after if one.before in {None, one.after} else f"{one.before} → {one.after}"
    yield f"  {title}, {', '.join(names)}"
    if one.remark:
        yield f"    {one.remark}"
    for each in one.devices:
        yield f"    {each.device!s:<6}{each.before:>6} → {each.after:<6}{_tally(each)}"
        yield from _lost(each)
    for error in one.errors:
        yield f"    {error.rule}: {error.message} {error.remedy or ''}".rstrip()


def _tally(one: DeviceChange) -> str:
    parts = [f"{len(one.lost)} lost" if one.lost else "none lost"]
    if one.removed:
        parts.append(f"{len(one.removed)} no longer in the release")
    if one.new:
        parts.append(f"{one.new} new")
    return ", ".join(parts)


def _lost(one: DeviceChange) -> Iterator[str]:
    named = list(dict.fromkeys(one.lost))
    yield from (f"        {name}" for name in named[:_NAMED])
    if len(named) > _NAMED:
        yield f"        and {len(named) - _NAMED} more (-o json has them all)"


def _paths(bump: Bump, one: StaleLocks) -> list[Path]:
    return [path.relative_to(bump.root) for path in one.locks]


def _end(bump: Bump) -> str:
    if bump.components is None:
        judged = "What devices would lose was not examined."
    elif not bump.components:
        judged = "Nothing that preflight examines changes."
    elif bump.loses:
        judged = "A device loses what it had, or a build would stop: see above."
    else:
        judged = "Of what was examined, no device loses a source that is in both releases."
    if not bump.proposal.changes:
        return judged
    files = ", ".join(
        [
            str(bump.proposal.before.path),
            *(str(one.pyproject.relative_to(bump.root)) for one in bump.locks),
        ]
    )
    return f"{judged} {'Written: ' + files if bump.written else 'Nothing was written (--dry-run)'}."
