"""What a display shows of a bake target, on lines that cannot move the cursor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from smforge.bake.progress.state import TargetState

_HOW_FLAGS = re.compile(r" --(?:mount|network|security)=\S+")
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x1f\x7f\x9b]"
)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """What the table shows of a target; made by the thread that owns the state."""

    name: str
    done: int
    total: int
    status: str
    label: str
    action: str
    since: datetime | None
    seconds: float
    said: str

    @property
    def text(self) -> str:
        """The target and its step on one line."""
        return clean(f"{self.name} {self.label} {self.action}".strip())


def short_action(action: str) -> str:
    """An instruction without the flags that say how it runs, so that what it runs is seen."""
    return " ".join(_HOW_FLAGS.sub("", action).split())


def clean(text: str) -> str:
    """`text` on one line, without the control sequences that would move a terminal's cursor."""
    return _CONTROL.sub("", text.replace("\t", " ").replace("\n", " "))


def target_row(target: TargetState) -> TargetRow:
    """A picture of a target."""
    step = target.failed or target.running
    status = _status(target)
    return TargetRow(
        name=target.name,
        done=target.done,
        total=len(target.numbered),
        status=status,
        label=step.name.label if step else "",
        action=short_action(step.name.action) if step else "",
        since=target.started if status == "running" else None,
        seconds=target.seconds,
        said=next((line for line in reversed(step.tail) if line.strip()), "") if step else "",
    )


def _status(target: TargetState) -> str:
    if target.failed:
        return "failed"
    if target.running:
        return "running"
    if target.numbered and target.done == len(target.numbered):
        return "cached" if target.cached else "done"
    return "waiting"
