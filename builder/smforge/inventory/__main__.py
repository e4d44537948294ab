"""``python -m smforge.inventory SUBJECT [--no-kernels]``: what the native reader finds, unjudged.

One line per file, kind and target, tab-separated: objects, kernels, kind, target, path. For
measurements and for looking into a file; `smforge audit` is the command for everything else.
"""

from __future__ import annotations

import sys
from collections import Counter

from smforge.errors import SmforgeError
from smforge.inventory.options import ReadOptions
from smforge.inventory.survey import take_inventory


def main(arguments: list[str]) -> int:
    names = "--no-kernels" not in arguments
    if names:
        from smforge.inventory.memory import share_heaps  # noqa: PLC0415 - nothing is unpacked else

        share_heaps()
    options = ReadOptions(names=names, digests=False)
    for subject in arguments:
        if subject == "--no-kernels":
            continue
        for file in take_inventory(subject, options).files:
            objects: Counter[tuple[str, str]] = Counter()
            kernels: Counter[tuple[str, str]] = Counter()
            for region in file.regions:
                for code in region.objects:
                    key = (str(code.kind), str(code.target))
                    objects[key] += 1
                    kernels[key] += len(code.kernels or ())
            for key, count in sorted(objects.items()):
                print(count, kernels[key] if names else "-", *key, file.path, sep="\t")
            for damage in file.damage:
                print("damage", damage.message, file.path, sep="\t")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SmforgeError as error:
        sys.exit(f"smforge: {error}")
