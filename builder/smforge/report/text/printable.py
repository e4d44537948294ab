"""Foreign text made harmless for a terminal or a line of a document."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Write control, format and line characters as ``\x1b``: names in files may hold any."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "replace").decode()
        for one in text
    )
