"""The caches of layers that machines share: CACHE_FROM and CACHE_TO of the environment.

BuildKit keeps such a cache in a registry, a bucket, GitHub's cache or a folder, as one entry per
name. All targets of a build would overwrite one entry, so each target gets a name of its own. A
cache saves time only: an export that fails is no failure of the build, and BuildKit goes on without
a cache that it cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smforge.errors import UsageError

READ_SETTING = "CACHE_FROM"
WRITE_SETTING = "CACHE_TO"
_FOLDERS = frozenset({"src", "dest"})
_DATA = json.loads((Path(__file__).parent / "data" / "layer_caches.json").read_text("utf-8"))
_KINDS: Mapping[str, Mapping[str, Any]] = _DATA["kinds"]
_DRIVERS: Mapping[str, Mapping[str, list[str]]] = _DATA["drivers"]
_SECRET = frozenset(_DATA["secret"])


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One cache that BuildKit reads, or one that it writes."""

    fields: tuple[tuple[str, str], ...]
    """As buildx takes them, ``type`` among them."""

    @property
    def kind(self) -> str:
        return dict(self.fields)["type"]

    def named(self, entry: str, field: str) -> str:
        """The cache with this entry in it, as buildx takes it; `field` holds the entry's name."""
        given = dict(self.fields)
        given[field] = _joined(given.get(field, ""), entry, _KINDS[self.kind]["joins"])
        return ",".join(f"{name}={value}" for name, value in given.items())


@dataclass(frozen=True, slots=True)
class LayerCaches:
    """The caches of one host."""

    read: tuple[LayerCache, ...] = ()
    written: tuple[LayerCache, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LayerCaches:
        """Read CACHE_FROM and CACHE_TO: caches as buildx takes them, with spaces between them.

        Raises `UsageError`, which repeats no value, for what buildx would not understand and for
        credentials, which the printed command and the override would show.
        """
        return cls(
            _caches(environment.get(READ_SETTING, ""), READ_SETTING),
            _caches(environment.get(WRITE_SETTING, ""), WRITE_SETTING),
        )

    @property
    def folders_read(self) -> tuple[Path, ...]:
        """The folders that hold caches which are read."""
        return tuple(Path(folder) for one in self.read if (folder := dict(one.fields).get("src")))

    @property
    def folders_written(self) -> tuple[Path, ...]:
        """The folders that hold caches which are written."""
        return tuple(
            Path(folder) for one in self.written if (folder := dict(one.fields).get("dest"))
        )

    def for_driver(self, driver: str) -> LayerCaches:
        """The caches of these that a builder of this driver knows; it may refuse a whole build
        for another one."""
        known = _DRIVERS.get(driver)
        if known is None:
            return self
        return LayerCaches(
            tuple(one for one in self.read if one.kind in known[READ_SETTING]),
            tuple(one for one in self.written if one.kind in known[WRITE_SETTING]),
        )

    def of_targets(self, entries: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
        """What a bake file says of each target; `entries` has the entry's name by target."""
        if not self.read and not self.written:
            return {}
        return {target: self._of(entry) for target, entry in entries.items()}

    def _of(self, entry: str) -> dict[str, list[str]]:
        said = {
            "cache-from": [one.named(entry, _KINDS[one.kind]["reads"]) for one in self.read],
            "cache-to": [
                _useful(one).named(entry, _KINDS[one.kind]["writes"]) for one in self.written
            ],
        }
        return {name: caches for name, caches in said.items() if caches}


def entries_of(
    targets: tuple[str, ...], platform: str, toolkit: str, variant: str
) -> dict[str, str]:
    """The entry of each target: images by variant; what variants share, by toolkit."""
    place = platform.replace("/", "-")
    return {
        one: f"{variant if one.startswith('image') else toolkit}-{one}-{place}" for one in targets
    }


def _useful(cache: LayerCache) -> LayerCache:
    """The cache with what makes an export useful and harmless, unless it is set."""
    return LayerCache(tuple({**_KINDS[cache.kind]["defaults"], **dict(cache.fields)}.items()))


def _joined(given: str, entry: str, joins: str) -> str:
    """The name of the entry below what the setting names."""
    if joins == "tag":
        repository, colon, tag = given.rpartition(":")
        tagged = bool(colon) and "/" not in tag
        return f"{repository}:{tag}-{entry}" if tagged else f"{given}:{entry}"
    return f"{given}{joins}{entry}" if given else entry


def _caches(text: str, setting: str) -> tuple[LayerCache, ...]:
    return tuple(_cache(one, setting) for one in text.split())


def _cache(text: str, setting: str) -> LayerCache:
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind = _KINDS.get(fields.get("type", ""))
    if kind is None:
        raise UsageError(
            f"{setting} names a cache of layers without a type that is known.",
            remedy=f"Write type=KIND,…; KIND is one of {', '.join(sorted(_KINDS))}.",
        )
    if shown := sorted(_SECRET & fields.keys()):
        raise UsageError(
            f"{setting} holds {', '.join(shown)}, which the printed command would show.",
            remedy="Leave it out: buildx takes credentials from 'docker login', from AWS_… or "
            "ACTIONS_… of the environment, or from the builder's own machine.",
        )
    missing = [name for name in kind["needs"][setting] if not fields.get(name)]
    if missing:
        raise UsageError(
            f"{setting} names a cache of type {fields['type']} without {' and '.join(missing)}.",
            remedy=f"Add {missing[0]}=….",
        )
    if "@" in fields.get("ref", ""):
        raise UsageError(
            f"{setting} names a digest, and each target has an entry of its own.",
            remedy="Write ref=HOST/NAME or ref=HOST/NAME:TAG.",
        )
    for name in _FOLDERS & fields.keys():
        fields[name] = str(Path(fields[name]).absolute())
    return LayerCache(tuple(fields.items()))
