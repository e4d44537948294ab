"""Which kind of archive or compressed file a file is, by its first bytes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from smforge.inventory.archives import tar

ZIP, TAR, DEB = "zip", "tar", "deb"
_DEB = b"!<arch>\ndebian-binary"
"""A Debian package: a static archive of this first member and two tar files. Source: deb(5)."""
_SCRIPT = b"#!"
_ZIP_MAGIC = b"PK\x03\x04"


class Form(NamedTuple):
    """A kind of archive, or of compression around one file or tar."""

    name: str
    read: bool
    """Whether smforge can look into it."""


def form_of(head: bytes) -> Form | None:
    """Tell by the first bytes of a file (512 of them where it has so many); None for no archive."""
    for magic, form in _forms().get(head[:2], ()):
        if head.startswith(magic):
            return form
    if tar.is_header(head):
        return Form(TAR, read=True)
    if head.startswith(_DEB):
        return Form(DEB, read=True)
    # A Python program in a zip, with the line in front that starts the interpreter.
    if head.startswith(_SCRIPT) and _ZIP_MAGIC in head:
        return Form(ZIP, read=True)
    return None


@cache
def _forms() -> dict[bytes, tuple[tuple[bytes, Form], ...]]:
    """The table of magics, by their first two bytes."""
    text = (Path(__file__).parent / "data" / "archive_forms.json").read_text(encoding="utf-8")
    found: dict[bytes, tuple[tuple[bytes, Form], ...]] = {}
    for row in json.loads(text)["forms"]:
        form = Form(row["name"], row["read"])
        for magic in map(bytes.fromhex, row["magics"]):
            found[magic[:2]] = (*found.get(magic[:2], ()), (magic, form))
    return found
