"""What BuildKit's vertex names mean: ``[target stage 3/7] RUN …`` and its shorter forms.

buildx puts the bake target first when one call builds several; with a single target the bracket
holds the stage alone, so the same text means different things and the targets must be known.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_NAME = re.compile(r"\[(?P<bracket>[^\]]+)\] ?(?P<action>.*)\Z", re.DOTALL)
_COUNT = re.compile(r"(?P<number>\d+)/(?P<total>\d+)\Z")
_INTERNAL = frozenset({"internal", "auth"})


@dataclass(frozen=True, slots=True)
class StepName:
    """A vertex name taken apart."""

    target: str | None
    """The bake target; None where the name does not tell."""
    stage: str
    """The Dockerfile stage, with the platform where the build has several; may be empty."""
    number: int | None
    """Which instruction of its stage this is, from 1; None for what no instruction asks for."""
    total: int | None
    action: str
    """The instruction, or what BuildKit does: ``exporting to client directory``."""

    @property
    def label(self) -> str:
        """The short form for people: ``base 3/7``."""
        if self.number is None:
            return self.stage
        return f"{self.stage} {self.number}/{self.total}".strip()


def parse_name(name: str, targets: Collection[str]) -> StepName:
    """Take a vertex name apart, given all bake targets of the call."""
    only = next(iter(targets)) if len(targets) == 1 else None
    match = _NAME.match(name)
    if match is None:
        return StepName(only, "", None, None, name)
    words = match["bracket"].split()
    target = only
    if only is None and words[0] in targets:
        target = words.pop(0)
    number = total = None
    if words and (count := _COUNT.match(words[-1])):
        words.pop()
        number, total = int(count["number"]), int(count["total"])
    stage = " ".join(word for word in words if word not in _INTERNAL)
    return StepName(target, stage, number, total, match["action"])
