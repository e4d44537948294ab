"""Gives `smforge slim` damaged libraries: each is refused, or its result passes the proof.

    python -m benchmarks.mutated_libraries LIBRARY --keep 12.0 [--runs 50000] [--seed 1]

Every library is a copy of LIBRARY with some bytes changed, most of them in its tables. A refusal is
an error of smforge's own. Anything else that escapes, a result that the proof rejects, and a run of
more than two seconds are counted as failures, with the number that repeats them.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from smforge.arch.target import ComputeCapability
from smforge.errors import SmforgeError
from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.formats.limits import Limits
from smforge.rewrite.host_elf import read_host_elf
from smforge.rewrite.library import plan_library, rewrite_library
from smforge.rewrite.proof import UnprovenError, prove_library
from smforge.rewrite.records import Request

MOST_SECONDS = 2.0
MOST_BYTES = 4 << 30
_INTERESTING = (0, 1, 7, 8, 16, 24, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1)


def tables(data: bytes) -> list[range]:
    """The ranges worth damaging: headers, relocations, symbols, wrappers, regions' headers."""
    library = read_host_elf(BytesBlob(data))
    ranges = [range(64)]
    ranges.append(range(library.header[4], library.header[4] + 56 * len(library.segments)))
    ranges.append(range(library.header[5], library.header[5] + 64 * len(library.sections)))
    for row, name in zip(library.sections, library.names, strict=True):
        if row.type in (2, 4, 11, 19) or name in (".nvFatBinSegment", ".nv_fatbin"):
            ranges.append(range(row.offset, row.offset + min(row.size, 4096)))
    return [one for one in ranges if one]


def mutated(data: bytes, ranges: list[range], chance: random.Random) -> bytes:
    """A copy with one to four changes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.choice(chance.choice(ranges))
        width = chance.choice((1, 2, 4, 8))
        value = chance.choice((chance.choice(_INTERESTING), chance.getrandbits(64)))
        changed[place : place + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    return bytes(changed[: len(data)])


def outcome(data: bytes, request: Request, folder: Path) -> str:
    """What happens to one library."""
    old_path, new_path = folder / "old.so", folder / "new.so"
    old_path.write_bytes(data)
    with FileBlob.from_path(old_path) as old:
        try:
            plan = plan_library(old, request, Limits())
            change = rewrite_library(old, "old.so", plan, request, {}, new_path)
        except SmforgeError:
            return "refused"
        try:
            prove_library(old_path, new_path, change)
        except UnprovenError as error:
            return f"unproven: {error}"
    return "written and proven"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--keep", default="12.0")
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    data = arguments.library.read_bytes()
    ranges = tables(data)
    request = Request((ComputeCapability.parse(arguments.keep),))
    counts: Counter[str] = Counter()
    failures = 0
    with TemporaryDirectory() as folder:
        for number in range(arguments.runs):
            chance = random.Random(arguments.seed * 1_000_003 + number)  # noqa: S311
            one = mutated(data, ranges, chance)
            started = time.monotonic()
            try:
                said = outcome(one, request, Path(folder))
            except Exception as error:
                said = f"escaped: {type(error).__name__}: {error}"
            if time.monotonic() - started > MOST_SECONDS:
                said = f"slow: {said}"
            kind = said.split(":")[0]
            counts[kind] += 1
            if kind not in {"refused", "written and proven"}:
                failures += 1
                print(f"{number}: {said}", file=sys.stderr)
    print(dict(counts))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
