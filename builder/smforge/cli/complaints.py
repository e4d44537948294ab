"""Sentences for the user on standard error."""

from __future__ import annotations

import sys

from smforge.report.text.printable import printable


def complain(text: str) -> None:
    """Write one line to standard error, with the name of the program before it."""
    sys.stderr.write(f"smforge: {printable(' '.join(text.split()))}\n")
