"""Reads regions: the entries of each, what their payloads tell, and whether both agree."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial

from smforge.arch.target import Suffix, Target
from smforge.errors import DamagedInputError, LimitExceededError
from smforge.inventory.formats.blob import Blob
from smforge.inventory.formats.contents import NOT_READ, Contents
from smforge.inventory.formats.fatbin import TEXTS, Entry, read_entries
from smforge.inventory.native.damage_log import DamageLog
from smforge.inventory.native.region_finder import Span
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import CodeObject, Kind, Origin, Region

_SHARE = 1 << 20
"""Stored bytes per task, so that small objects do not cost a task each."""
_MOST_WORKERS = 2
_CHECKED_AFTER = 50_000
"""Kernel names after which their number is compared with the limits."""


class RegionReader:
    """Reads the regions of one file."""

    def __init__(self, options: ReadOptions, log: DamageLog) -> None:
        self._options = options
        self._log = log
        self._objects = 0
        self._names: set[str] = set()
        self._listed = 0
        self._checked = 0

    def read(self, blob: Blob, spans: Iterable[Span], member: str, base: int) -> list[Region]:
        """Read the regions at `spans` of `blob`, which begins at byte `base` of the file."""
        drafts = [(span, self._entries(blob, span, base)) for span in spans]
        contents = self._contents(blob, drafts, base)
        return [_region(span, entries, contents, member, base) for span, entries in drafts]

    def _entries(self, blob: Blob, span: Span, base: int) -> list[Entry]:
        entries: list[Entry] = []
        try:
            for entry in read_entries(blob, span.offset, span.end):
                if entry.kind is Kind.UNKNOWN:
                    message = f"A fatbin entry of unknown kind for {entry.target} was not read."
                    self._log.record(DamagedInputError(message), base + entry.offset)
                entries.append(entry)
        except LimitExceededError:
            raise
        except DamagedInputError as error:
            self._log.record(error, base + span.offset)
        self._log.check_time()
        self._objects += len(entries)
        self._options.limits.check_objects(self._objects)
        return entries

    def _contents(
        self, blob: Blob, drafts: list[tuple[Span, list[Entry]]], base: int
    ) -> dict[int, Contents]:
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
        contents: dict[int, Contents] = {}
        for entry, outcome in zip(wanted, self._outcomes(blob, wanted), strict=True):
            if isinstance(outcome, Contents):
                contents[entry.offset] = outcome
                self._count(outcome)
            else:
                self._log.record(outcome, base + entry.offset)
        self._options.limits.check_kernels(self._names, self._listed)
        return contents

    def _count(self, contents: Contents) -> None:
        if contents.kernels:
            self._names.update(contents.kernels)
            self._listed += len(contents.kernels)
            if self._listed > self._checked:
                self._checked = self._listed + _CHECKED_AFTER
                self._options.limits.check_kernels(self._names, self._listed)

    def _outcomes(self, blob: Blob, entries: list[Entry]) -> Iterator[Contents | DamagedInputError]:
        if not self._options.names:
            yield from self._read_share(blob, entries)
            return
        shares = list(_shares(entries))
        workers = min(self._options.workers or usable_cpus(), len(shares))
        if workers <= 1:
            for share in shares:
                yield from self._read_share(blob, share)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to load

        pool = ThreadPoolExecutor(workers, thread_name_prefix="smforge-read")
        try:
            for results in pool.map(partial(self._read_share, blob), shares):
                yield from results
        finally:
            # Where a limit ended the reading, what has not begun is not read.
            pool.shutdown(cancel_futures=True)

    def _read_share(self, blob: Blob, entries: list[Entry]) -> list[Contents | DamagedInputError]:
        from smforge.inventory.native.payload_contents import (  # noqa: PLC0415 - slow to load
            read_contents,
            read_head,
        )

        self._log.check_time()
        read = read_contents if self._options.names else read_head
        outcomes: list[Contents | DamagedInputError] = []
        for entry in entries:
            try:
                outcomes.append(read(blob, entry, self._options.limits))
            except DamagedInputError as error:
                outcomes.append(error)
        return outcomes


def usable_cpus() -> int:
    """How many CPUs this process may use, two at most.

    About half of the work holds the interpreter's lock, so more threads cost memory, not time.
    """
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _region(
    span: Span, entries: list[Entry], contents: dict[int, Contents], member: str, base: int
) -> Region:
    found = [contents.get(entry.offset, NOT_READ) for entry in entries]
    sources = {item.source for item in found if item.source is not None}
    return Region(
        origin=span.origin,
        section=span.section,
        offset=base + span.offset,
        objects=tuple(map(_describe, entries, found)),
        source=sources.pop() if len(sources) == 1 else None,
        member=member,
    )


def _describe(entry: Entry, contents: Contents) -> CodeObject:
    """Put together what an entry's header and its payload say; the payload decides."""
    target, isa = entry.target, entry.version if entry.kind in TEXTS else None
    said = []
    if contents.target is not None and _contradict(target, contents.target):
        said.append(target.compute if isa else target.sm)
        target = contents.target
    if isa and contents.isa and isa != contents.isa:
        said.append("PTX {}.{}".format(*isa))
        isa = contents.isa
    return CodeObject(
        kind=entry.kind,
        target=target,
        stored_bytes=entry.stored,
        ptx_isa="{}.{}".format(*isa) if isa else None,
        toolkit=contents.toolkit,
        compression=entry.compression,
        kernels=_shared(contents.kernels),
        contradicted=", ".join(said) or None,
    )


def _contradict(header: Target, payload: Target) -> bool:
    """Tell whether they cannot both be true; not every payload tells its suffix."""
    if header.capability != payload.capability:
        return True
    return payload.suffix not in (Suffix.UNKNOWN, header.suffix)


def _shared(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Keep one string per name: a kernel has the same name in the code for every target."""
    return None if names is None else tuple(map(sys.intern, names))


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
