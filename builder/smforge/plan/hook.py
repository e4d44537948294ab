"""The hook of .pre-commit-hooks.yaml: ``python -m smforge.plan.hook FILE...``.

Each file is loaded and resolved as ``smforge plan`` does it, without network and engine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from smforge.errors import EXIT_PASS, EXIT_USAGE, SmforgeError
from smforge.matrix.load import load
from smforge.plan.resolve import resolve


def mistakes(files: Sequence[str]) -> Iterator[str]:
    """What is wrong with each matrix, a sentence for each mistake."""
    for file in files:
        try:
            resolve(load(Path(file)))
        except SmforgeError as error:
            yield from error.lines


if __name__ == "__main__":
    wrong = list(mistakes(sys.argv[1:]))
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    sys.exit(EXIT_USAGE if wrong else EXIT_PASS)
