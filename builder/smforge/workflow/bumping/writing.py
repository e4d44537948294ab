"""Writes several files so that all of them change, or none does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smforge.errors import OutputError
from smforge.writing import write_whole


def write_all(texts: Mapping[Path, str]) -> None:
    """Write each text to its file, which exists.

    Raises `OutputError` where one cannot be written; those that were are as before then.
    """
    before = {path: path.read_bytes() for path in texts}
    done: list[Path] = []
    try:
        for path, text in texts.items():
            write_whole(path, text.encode("utf-8"))
            done.append(path)
    except OSError as error:
        for one in done:
            write_whole(one, before[one])
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}. Nothing was changed.",
            remedy="Make room, or get the permission to write there.",
        ) from error
