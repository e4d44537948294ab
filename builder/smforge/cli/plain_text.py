"""Results for an output that cannot hold every character, such as a terminal without UTF-8."""

from __future__ import annotations

from collections.abc import Callable

_LOOK_ALIKES = str.maketrans("●◐✗…→\u2013\u2014", "*ox~>--")
"""Each character is replaced by one character, so that columns remain aligned."""


def encodable(text: str, form: str, encoding: str | None) -> str:
    """`text` as it is where `encoding` can hold it; else in ASCII, with the form's own escapes.

    JSON and XML can write every character in ASCII. Elsewhere the marks of a table become letters
    that look like them, and what is left becomes ``\\u4e2d``.
    """
    if encoding is None:
        # Text that is kept as text, not written as bytes.
        return text
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _WRITERS.get(form, _ascii)(text)
    return text


def _ascii(text: str) -> str:
    return text.translate(_LOOK_ALIKES).encode("ascii", "backslashreplace").decode("ascii")


def _json(text: str) -> str:
    """Outside its strings JSON is ASCII already, and within them ``\\ud83d\\ude00`` is a smiley."""
    units = text.encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    codes = (int.from_bytes(pair, "big") for pair in pairs)
    return "".join(chr(code) if code < 0x80 else f"\\u{code:04x}" for code in codes)


def _xml(text: str) -> str:
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _markdown(text: str) -> str:
    return _xml(text.translate(_LOOK_ALIKES))


_WRITERS: dict[str, Callable[[str], str]] = {
    "json": _json,
    "jsonl": _json,
    "sarif": _json,
    "junit": _xml,
    "markdown": _markdown,
}
