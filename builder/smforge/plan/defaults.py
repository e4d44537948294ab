"""Rewrites the `variable` block of versions.json: ``python -m smforge.plan.defaults [FILE]``."""

from __future__ import annotations

import sys
from pathlib import Path

from smforge.errors import SmforgeError
from smforge.matrix.load import load
from smforge.plan.block import renew_block
from smforge.plan.resolve import default_variables


def renew(file: Path) -> None:
    """Write the values of the default variant into the block of a matrix file."""
    variables = default_variables(load(file))
    text = file.read_text(encoding="utf-8")
    renewed = file.with_name(f".{file.name}.new")
    renewed.write_text(renew_block(text, variables), encoding="utf-8")
    renewed.replace(file)


if __name__ == "__main__":
    try:
        renew(Path(sys.argv[1] if len(sys.argv) > 1 else "versions.json"))
    except SmforgeError as error:
        sys.stderr.writelines(f"smforge: {line}\n" for line in error.lines)
        sys.exit(error.exit_code)
