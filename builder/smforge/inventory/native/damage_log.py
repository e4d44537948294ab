"""What goes wrong within one file, and when to give up on it."""

from __future__ import annotations

import time

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.limits import Limits
from smforge.inventory.records import Damage


class DamageLog:
    """Collects the damage of one file and keeps its time."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._damage: list[Damage] = []

    @property
    def damage(self) -> tuple[Damage, ...]:
        return tuple(self._damage)

    def record(self, error: DamagedInputError, offset: int | None = None) -> None:
        """Keep `error` as damage at `offset`.

        Raises `LimitExceededError` when there is too much of it.
        """
        self._damage.append(Damage(self._path, error.message, offset))
        if len(self._damage) >= self._limits.damages:
            raise LimitExceededError(
                f"The file has {len(self._damage)} damaged places; the rest was not read."
            )

    def give_up(self, error: DamagedInputError) -> None:
        """Keep `error` as the reason why the rest of the file was not read."""
        self._damage.append(Damage(self._path, str(error)))

    def check_time(self) -> None:
        """Raise `LimitExceededError` when the file has used up its time."""
        if time.monotonic() > self._deadline:
            raise LimitExceededError(
                f"Reading the file takes more than {self._limits.seconds:g} s.",
                remedy="If the file is trusted, raise the limit 'seconds'.",
            )
