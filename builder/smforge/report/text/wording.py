"""Words and sentences that several reports share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

VERDICT_COLOURS = {
    "pass": "bold green",
    "fail": "bold red",
    "nothing": "bold red",
    "undetermined": "bold magenta",
    "nothing required": "bold",
}
"""What is neither good nor bad has no colour."""


def answer(verdict: str, errors: Iterable[str], *, passes: str, fails: str) -> str:
    """The verdict in one line: ``Does not cover 12.1: kernels-missing (3).``

    `errors` are the rules of the errors, `passes` is the sentence for a pass, and `fails` what
    stands before the rules of a failure.
    """
    rules = Counter(errors)
    match verdict:
        case "pass":
            return passes
        case "nothing":
            return "No GPU code found: there is nothing to pass or to fail."
        case "undetermined":
            return (
                f"No verdict: {plural(rules.total(), 'thing')} could not be established, "
                "and no data is never a pass."
            )
        case _:
            return f"{fails}: {', '.join(f'{rule} ({n})' for rule, n in rules.most_common())}."


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 file``, ``12,455 kernels``; `many` where an s does not make it."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes for people: ``308 MB`` (decimal, as package indexes show them)."""
    scaled = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if scaled < 1000 or unit == "GB":
            break
        scaled /= 1000
    return f"{scaled:.1f} {unit}" if 0 < scaled < 10 and unit != "B" else f"{scaled:.0f} {unit}"
