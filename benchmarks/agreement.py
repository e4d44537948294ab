"""Compares the native reader with cuobjdump on real subjects, object by object.

    python benchmarks/agreement.py WHEEL...

Prints one row per subject: files, objects and kernel names compared, and mismatches, which must be
none; then every mismatch, and every file that cuobjdump cannot read with cuobjdump's own words.
Exit code 1 when anything differs.
"""

from __future__ import annotations

import sys
import time

from smforge.inventory.cuobjdump.agreement import Comparison, compare
from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.cuobjdump.readers import BothReaders
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Inventory, Origin
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import survey

ROW = "{:<60} {:>6} {:>8} {:>9} {:>10} {:>7} {:>9} {:>8}"
HEADINGS = ("subject", "files", "objects", "kernels", "mismatches", "unread", "embedded", "seconds")


def measure(argument: str) -> tuple[Inventory, Comparison]:
    """Read a subject with both and compare."""
    options = ReadOptions(digests=False)
    readers = BothReaders(locate())
    with open_subject(argument, options) as subject:
        native = survey(subject, options, readers)
    return native, compare(native, readers.second_opinion(native))


def main(arguments: list[str]) -> int:
    print(ROW.format(*HEADINGS), flush=True)
    different = False
    for argument in arguments:
        started = time.monotonic()
        native, result = measure(argument)
        embedded = sum(
            len(region.objects)
            for file in native.files
            for region in file.regions
            if region.origin is Origin.EMBEDDED
        )
        print(
            ROW.format(
                native.subject.name[:60],
                result.files,
                result.objects,
                result.kernels,
                len(result.differences),
                len(result.unread),
                embedded,
                round(time.monotonic() - started),
            ),
            flush=True,
        )
        for difference in result.differences[:20]:
            print(f"    {str(difference)[:300]}", flush=True)
        for damage in result.unread:
            print(f"    unread {damage.path}: {damage.message}", flush=True)
        for file in native.files:
            for damage in file.damage:
                print(f"    damage {file.path}: {damage.message} at {damage.offset}", flush=True)
        different = different or bool(result.differences)
    return int(different)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
