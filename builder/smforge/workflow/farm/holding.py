"""One run at a time in an output directory: the others wait, or say who holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smforge.bake.locks import NotFreeError, locked
from smforge.errors import BuildFailedError, DamagedInputError
from smforge.workflow.farm.journal import read_journal

_LOCK_NAME = ".run.lock"


@contextmanager
def held(out: Path, *, wait: bool, announce: Callable[[str], None]) -> Iterator[None]:
    """Hold an output directory, which is made where it is not there.

    With `wait`, wait for the run that holds it. Raises `BuildFailedError` where it is held
    otherwise, and where it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _held(out / _LOCK_NAME, out, wait, announce):
            yield
    except NotFreeError as error:
        raise BuildFailedError(
            f"{out} is held by another run ({_holder(out)}).",
            remedy="Wait for it with --wait, or build into another directory with --out.",
        ) from error


@contextmanager
def _held(lock: Path, out: Path, wait: bool, announce: Callable[[str], None]) -> Iterator[None]:
    try:
        with locked(lock):
            yield
            return
    except NotFreeError:
        if not wait:
            raise
    announce(f"waiting for the run that holds {out} ({_holder(out)})")
    with locked(lock, None):
        yield


def _holder(out: Path) -> str:
    """Who holds it, from the journal, which a run writes as soon as it holds the directory."""
    try:
        history = read_journal(out)
    except DamagedInputError:
        history = None
    return "unknown" if history is None or history.ended else history.holder
