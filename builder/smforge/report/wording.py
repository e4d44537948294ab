"""Small words and sentences that several reports share."""

from __future__ import annotations

_OUTCOMES = {
    "pass": "Passes",
    "fail": "Fails",
    "nothing": "No GPU code was found, so nothing was audited",
    "undetermined": "Undetermined: the answer is not known",
}


def headline(outcome: str, *, errors: int, warnings: int, asked: bool) -> str:
    """The verdict in one line: ``Fails: 2 errors, 1 warning.``; `asked` is whether it can fail."""
    if outcome == "pass" and not asked:
        return "Nothing was required, so nothing could fail."
    counts = [plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n]
    told = _OUTCOMES[outcome]
    return f"{told}{'; ' if ':' in told else ': '}{', '.join(counts)}." if counts else f"{told}."


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
