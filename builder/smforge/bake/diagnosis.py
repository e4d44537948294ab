"""The one sentence that says why a bake call failed, with its remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from smforge.bake.host.engine import address
from smforge.bake.progress.state import BuildState, Step
from smforge.bake.runner import Outcome
from smforge.errors import BuildFailedError, EngineUnavailableError, InterruptedBuildError

_DATA = Path(__file__).parent / "data" / "failures.json"

_CAUSE_LINES = 60
"""How much of a step's output is searched for the cause: a download that was retried with
success, long before the end, is not the cause."""

_HEAD_LINES = 10
_TAIL_LINES = 10
_FIRST_ERROR = re.compile(
    r"^FAILED: |\b(fatal )?error( [A-Z]?\d+)?\s*:|^(E|ERROR)[: ]|\b\w+Error\b|^Traceback ",
    re.MULTILINE,
)
_FINAL_ERROR = re.compile(r"^ERROR: (?:target \S+: )?(?:failed to solve: )?", re.MULTILINE)


class StepFailedError(BuildFailedError):
    """A build step failed; `excerpt` holds the relevant lines of its output."""

    def __init__(
        self, message: str, *, remedy: str | None, target: str, log: Path, excerpt: Sequence[str]
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.target = target
        self.log = log
        self.excerpt = tuple(excerpt)


@dataclass(frozen=True, slots=True)
class _Cause:
    sentence: str
    remedy: str


def failure(
    outcome: Outcome, log_of: Callable[[str], Path], engine_answers: Callable[[], bool]
) -> BuildFailedError | InterruptedBuildError:
    """Explain why `outcome` is no success.

    `log_of` gives the log file of a target. `engine_answers` is asked only when nothing in the
    build itself failed first: an engine that no longer runs does not say why.
    """
    state = outcome.state
    if outcome.interrupted is not None:
        return InterruptedBuildError(
            f"Stopped by {outcome.interrupted.name}; the engine has dropped the running steps.",
            remedy="Run the same command again: it continues from the cache.",
        )
    failed = state.failed
    # A build step that ends with the engine has an error too, so the engine is asked first.
    if not engine_answers():
        return EngineUnavailableError(
            f"The Docker Engine at {address()} stopped during the build{_while(state)}.",
            remedy="Start it, then run 'smforge build --resume': cells that have passed are kept, "
            "and finished steps are in its cache.",
        )
    if failed is None:
        return _general(state, log_of)
    target, step = failed
    return _step_failure(target, step, state, log_of(target))


def excerpt(lines: Sequence[str]) -> tuple[str, ...]:
    """The relevant lines of a failed step's output: around the first error, and the end."""
    shown = [line for line in lines if line.strip()]
    first = next((i for i, line in enumerate(shown) if _FIRST_ERROR.search(line)), None)
    start = max(0, len(shown) - _TAIL_LINES)
    if first is None or first >= start:
        return tuple(shown[start if first is None else min(first, start) :])
    head = shown[first : min(first + _HEAD_LINES, start)]
    left_out = start - first - len(head)
    gap = [f"… {left_out} more lines …"] if left_out else []
    return (*head, *gap, *shown[start:])


def _step_failure(target: str, step: Step, state: BuildState, log: Path) -> StepFailedError:
    ending = list(step.tail)[-_CAUSE_LINES:]
    cause = _cause({"step": ending, "bake": (step.error or "", *state.plain)})
    where = f"{target}, step {step.name.label or step.name.action}" if target else step.name.action
    reason = cause.sentence if cause else _short(step.error or "it failed")
    return StepFailedError(
        f"Building {where} failed: {reason}; log: {log}.",
        remedy=cause.remedy if cause else None,
        target=target,
        log=log,
        excerpt=excerpt(list(step.tail)),
    )


def _general(state: BuildState, log_of: Callable[[str], Path]) -> StepFailedError:
    """The build failed outside of every step: in its definition, or while it was exported."""
    cause = _cause({"bake": state.plain})
    lines = [line for line in state.plain if line.strip()]
    finals = [line for line in lines if _FINAL_ERROR.match(line)]
    said = _FINAL_ERROR.sub("", finals[-1]) if finals else (lines[-1] if lines else "no reason")
    log = log_of(state.general.name)
    return StepFailedError(
        f"The build failed: {cause.sentence if cause else _short(said)}; log: {log}.",
        remedy=cause.remedy if cause else None,
        target=state.general.name,
        log=log,
        excerpt=excerpt(lines),
    )


def _while(state: BuildState) -> str:
    running = [(t.name, t.running) for t in state.targets.values() if t.running]
    named = [f"{name} ({step.name.label})" for name, step in running if step and step.name.label]
    return f", while it built {', '.join(named)}" if named else ""


def _cause(texts: dict[str, Iterable[str]]) -> _Cause | None:
    joined = {name: "\n".join(lines) for name, lines in texts.items()}
    for row in _rows():
        for pattern in row["patterns"]:
            for name in row["in"]:
                if found := re.search(pattern, joined.get(name, ""), re.MULTILINE):
                    return _Cause(row["sentence"].format(**found.groupdict()), row["remedy"])
    return None


def _short(text: str) -> str:
    """The end of BuildKit's sentence: it repeats the whole command before the exit code."""
    text = " ".join(text.split()).rstrip(".")
    _, separator, ending = text.rpartition("did not complete successfully: ")
    return ending.replace("exit code: ", "exit code ") if separator else text


@cache
def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_DATA.read_text(encoding="utf-8"))["rows"]
    return rows
