"""Reads regions: the entries of each, and what their payloads tell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from builder.errors import DamagedInputError, LimitExceededError
from builder.inventory.blob import Blob
from builder.inventory.code import NO_DETAILS, Details, describe, read_details
from builder.inventory.fatbin import Entry, read_entries
from builder.inventory.options import ReadOptions
from builder.inventory.records import CodeObject, Kind, Region
from builder.inventory.spans import Span
from builder.inventory.trouble import Trouble

_SHARE = 1 << 20
"""Stored bytes per task, so that small objects do not cost a task each."""
_MOST_WORKERS = 4


class RegionReader:
    """Reads the regions of one file."""

    def __init__(self, options: ReadOptions, trouble: Trouble) -> None:
        self._options = options
        self._trouble = trouble
        self._objects = 0

    def read(self, blob: Blob, spans: Iterable[Span], member: str, base: int) -> list[Region]:
        """Read the regions at `spans` of `blob`, which begins at byte `base` of the file."""
        drafts = [(span, self._entries(blob, span, base)) for span in spans]
        every = [entry for _, entries in drafts for entry in entries]
        details = self._details(blob, every, base)
        return [self._region(span, entries, details, member, base) for span, entries in drafts]

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

    def _region(
        self, span: Span, entries: list[Entry], details: Iterator[Details], member: str, base: int
    ) -> Region:
        objects: list[CodeObject] = []
        sources: set[str] = set()
        for entry in entries:
            found = next(details)
            objects.append(describe(entry, found))
            if found.source is not None:
                sources.add(found.source)
        return Region(
            origin=span.origin,
            section=span.section,
            offset=base + span.offset,
            objects=tuple(objects),
            source=sources.pop() if len(sources) == 1 else None,
            member=member,
        )

    def _details(self, blob: Blob, entries: list[Entry], base: int) -> Iterator[Details]:
        """Yield the details of each entry in order; damage is recorded as it is met."""
        if not self._options.names:
            yield from (NO_DETAILS for _ in entries)
            return
        for entry, outcome in zip(entries, self._outcomes(blob, entries), strict=True):
            if isinstance(outcome, Details):
                yield outcome
            else:
                self._trouble.record(outcome, base + entry.offset)
                yield NO_DETAILS

    def _outcomes(self, blob: Blob, entries: list[Entry]) -> Iterator[Details | DamagedInputError]:
        shares = list(_shares(entries))
        workers = min(self._options.workers or usable_cpus(), len(shares))
        if workers <= 1:
            for share in shares:
                yield from self._read_share(blob, share)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="smforge-read") as pool:
            for results in pool.map(partial(self._read_share, blob), shares):
                yield from results

    def _read_share(self, blob: Blob, entries: list[Entry]) -> list[Details | DamagedInputError]:
        self._trouble.check_time()
        return [self._attempt(blob, entry) for entry in entries]

    def _attempt(self, blob: Blob, entry: Entry) -> Details | DamagedInputError:
        try:
            return read_details(blob, entry, self._options.limits)
        except DamagedInputError as error:
            return error


def usable_cpus() -> int:
    """How many CPUs this process may use, four at most: more would wait for each other."""
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


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
