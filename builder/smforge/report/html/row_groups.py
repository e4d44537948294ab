"""Groups files and names, so that a page remains small.

Each library has a row. Loose cubins, of which a package can hold
sixteen thousand, have one row per folder. Thousands of names that share no template are grouped by
their first words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import dirname

from smforge.findings import Family
from smforge.report import model
from smforge.verdict.views.files import FileView

_MOST_FAMILIES = 250
"""The most families that one group of kernels shows."""
_WORD = re.compile(r"_*(?:[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|.)", re.DOTALL)
"""A word of a name, however its words are joined: ``fmha``, ``Sm``, ``100``, ``_Qkv``."""
_FEW = 12
"""A folder with more loose cubins than this gets one row for all of them."""


@dataclass(frozen=True, slots=True)
class RowFiles:
    """The files of one row."""

    path: str
    files: tuple[FileView, ...]


def group_files(files: Sequence[FileView]) -> tuple[RowFiles, ...]:
    """Group the files by row, in the order of the first file of each row."""
    placed: dict[str, list[FileView]] = {}
    rows = row_paths([(file.file.path, file.loose) for file in files])
    for file, row in zip(files, rows, strict=True):
        placed.setdefault(row, []).append(file)
    return tuple(RowFiles(path, tuple(held)) for path, held in placed.items())


def row_paths(files: Sequence[tuple[str, bool]]) -> list[str]:
    """The path of the row that each file belongs to; files are paths, and whether they are loose.

    Loose cubins of a folder that has many share the folder's row.
    """
    folders = [f"{dirname(path)}/" if loose else "" for path, loose in files]
    held = Counter(folder for folder in folders if folder)
    return [
        folder if folder and held[folder] > _FEW else path
        for folder, (path, _) in zip(folders, files, strict=True)
    ]


def fold_families(
    found: Sequence[Family | model.Family],
) -> Sequence[Family | model.Family]:
    """Group names by their first words: as many words as give a readable number of groups."""
    if len(found) <= _MOST_FAMILIES:
        return found
    split = [(_WORD.findall(one.name), one) for one in found]
    folded = _by_words(split, 1)
    for words in range(2, max(len(parts) for parts, _ in split) + 1):
        finer = _by_words(split, words)
        if len(finer) > _MOST_FAMILIES:
            break
        folded = finer
    ordered = sorted(folded.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Family(name, count) for name, count in ordered)


def _by_words(
    split: Sequence[tuple[list[str], Family | model.Family]], words: int
) -> dict[str, int]:
    counts: dict[str, int] = {}
    for parts, one in split:
        short = one.name if len(parts) <= words else f"{''.join(parts[:words])}…"
        counts[short] = counts.get(short, 0) + one.count
    return counts
