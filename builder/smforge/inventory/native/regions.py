"""Reads regions: the entries of each, and what their payloads tell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial

from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.fatbin import Entry, read_entries
from smforge.inventory.native.code import NO_DETAILS, Details, describe
from smforge.inventory.native.damage_log import Trouble
from smforge.inventory.native.region_finder import Span
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Kind, Origin, Region

_SHARE = 1 << 20
"""Stored bytes per task, so that small objects do not cost a task each."""
_MOST_WORKERS = 2


class RegionReader:
    """Reads the regions of one file."""

    def __init__(self, options: ReadOptions, trouble: Trouble) -> None:
        self._options = options
        self._trouble = trouble
        self._objects = 0

    def read(self, blob: Blob, spans: Iterable[Span], member: str, base: int) -> list[Region]:
        """Read the regions at `spans` of `blob`, which begins at byte `base` of the file."""
        drafts = [(span, self._entries(blob, span, base)) for span in spans]
        details = self._details(blob, drafts, base) if self._options.names else {}
        return [_region(span, entries, details, member, base) for span, entries in drafts]

    def _entries(self, blob: Blob, span: Span, base: int) -> list[Entry]:
        entries: list[Entry] = []
        try:
            for entry in read_entries(blob, span.offset, span.end):
                if entry.kind is Kind.UNKNOWN:
                    message = f"A fatbin entry of unknown kind for {entry.target} was not read."
                    self._trouble.record(DamagedInputError(message), base + entry.offset)
                entries.append(entry)
        except LimitExceededError:
            raise
        except DamagedInputError as error:
            self._trouble.record(error, base + span.offset)
        self._trouble.check_time()
        self._objects += len(entries)
        self._options.limits.check_objects(self._objects)
        return entries

    def _details(
        self, blob: Blob, drafts: list[tuple[Span, list[Entry]]], base: int
    ) -> dict[int, Details]:
        """Read the payloads of all code that is loaded, by offset; damage is recorded.

        Relocatable code is only the device linker's input where linked code stands beside it.
        """
        linked = any(span.origin is Origin.FATBIN for span, _ in drafts)
        wanted = [
            entry
            for span, entries in drafts
            if not (linked and span.origin is Origin.RELOCATABLE)
            for entry in entries
        ]
        details: dict[int, Details] = {}
        for entry, outcome in zip(wanted, self._outcomes(blob, wanted), strict=True):
            if isinstance(outcome, Details):
                details[entry.offset] = outcome
            else:
                self._trouble.record(outcome, base + entry.offset)
        return details

    def _outcomes(self, blob: Blob, entries: list[Entry]) -> Iterator[Details | DamagedInputError]:
        shares = list(_shares(entries))
        workers = min(self._options.workers or usable_cpus(), len(shares))
        if workers <= 1:
            for share in shares:
                yield from self._read_share(blob, share)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to load

        with ThreadPoolExecutor(workers, thread_name_prefix="smforge-read") as pool:
            for results in pool.map(partial(self._read_share, blob), shares):
                yield from results

    def _read_share(self, blob: Blob, entries: list[Entry]) -> list[Details | DamagedInputError]:
        from smforge.inventory.native.details import read_details  # noqa: PLC0415 - slow to load

        self._trouble.check_time()
        outcomes: list[Details | DamagedInputError] = []
        for entry in entries:
            try:
                outcomes.append(read_details(blob, entry, self._options.limits))
            except DamagedInputError as error:
                outcomes.append(error)
        return outcomes


def usable_cpus() -> int:
    """How many CPUs this process may use, two at most.

    About half of the work holds the interpreter's lock, so more threads cost memory, not time.
    """
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _region(
    span: Span, entries: list[Entry], details: dict[int, Details], member: str, base: int
) -> Region:
    found = [details.get(entry.offset, NO_DETAILS) for entry in entries]
    sources = {item.source for item in found if item.source is not None}
    return Region(
        origin=span.origin,
        section=span.section,
        offset=base + span.offset,
        objects=tuple(map(describe, entries, found)),
        source=sources.pop() if len(sources) == 1 else None,
        member=member,
    )


def _shares(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Group neighbours into tasks of similar size, keeping the order."""
    share: list[Entry] = []
    size = 0
    for entry in entries:
        share.append(entry)
        size += entry.stored
        if size >= _SHARE:
            yield share
            share, size = [], 0
    if share:
        yield share
