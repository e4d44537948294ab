"""The store that machines share compilations through, and its settings.

sccache takes them from the environment, credentials among them. Here they are a file of
``NAME=VALUE`` lines that goes into the build as a secret. It is read here only to refuse what
cannot work before a build starts. Without it, the cache is one of the builder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from smforge.errors import UsageError

STORE_SETTING = "SMFORGE_SCCACHE"
_DATA = Path(__file__).parent / "data" / "compile_stores.json"


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of store that sccache knows."""

    name: str
    named_by: tuple[str, ...]
    """The settings of which one says that, and where, there is such a store."""
    settings: tuple[str, ...]

    @property
    def known(self) -> frozenset[str]:
        """Every setting of it."""
        return frozenset((*self.named_by, *self.settings))


@cache
def stores() -> tuple[Store, ...]:
    """Those of data/compile_stores.json, where the source is."""
    return tuple(
        Store(one["name"], tuple(one["named_by"]), tuple(one["settings"]))
        for one in json.loads(_DATA.read_text(encoding="utf-8"))["stores"]
    )


def store_settings(environment: Mapping[str, str]) -> Path | None:
    """The file of SMFORGE_SCCACHE; None where it is unset or empty.

    Raises `UsageError`, which repeats no value, when there is no such file, when a line of it is no
    setting of a store, and when it does not name exactly one.
    """
    asked = environment.get(STORE_SETTING)
    if not asked:
        return None
    file = Path(asked)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(
            f"{STORE_SETTING} names {asked}, which cannot be read: {reason}.",
            remedy="Name a file with sccache's settings, one NAME=VALUE in a line, or unset it.",
        ) from None
    _check(_settings(text, asked), asked)
    return file.resolve()


def _settings(text: str, file: str) -> dict[str, str]:
    known = frozenset[str]().union(*(store.known for store in stores()))
    found = {}
    # As the build's shell has them: a line ends in a line feed, and values are taken as they stand.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        name, _, value = line.partition("=")
        if name not in known:
            raise UsageError(
                f"Line {number} of {file} ({STORE_SETTING}) sets nothing of a store of sccache's.",
                remedy=f"Write NAME=VALUE, where NAME is one of {', '.join(sorted(known))}.",
            )
        found[name] = value
    return found


def _check(found: Mapping[str, str], file: str) -> None:
    named = [store for store in stores() if any(found.get(name) for name in store.named_by)]
    ways = " or ".join(f"{name}=…" for store in stores() for name in store.named_by)
    if not named:
        raise UsageError(
            f"{file} ({STORE_SETTING}) names no store.",
            remedy=f"Add one of {ways}, or unset {STORE_SETTING}.",
        )
    if len(named) > 1:
        raise UsageError(
            f"{file} ({STORE_SETTING}) names more than one store: "
            f"{', '.join(store.name for store in named)}.",
            remedy="Keep the settings of one.",
        )
    (store,) = named
    if others := sorted(set(found) - store.known):
        raise UsageError(
            f"{file} ({STORE_SETTING}) names {store.name}, and {', '.join(others)} is not of it.",
            remedy="Keep the settings of one store.",
        )
