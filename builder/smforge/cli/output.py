"""The shared ``-o FORMAT[=FILE]`` flag: which form a result takes and where it goes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from smforge.errors import UsageError
from smforge.writing import write_whole

TABLE = "table"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One ``-o``: a form, and the file it goes to (standard output when None)."""

    format: str
    file: Path | None = None


class OutputType(click.ParamType[OutputSpec]):
    """Reads ``json`` or ``json=report.json``; the forms a command offers are given to it."""

    name = "FORMAT[=FILE]"

    def __init__(self, formats: Iterable[str]) -> None:
        self.formats = tuple(formats)

    def convert(
        self, value: str | OutputSpec, param: click.Parameter | None, ctx: click.Context | None
    ) -> OutputSpec:
        if isinstance(value, OutputSpec):
            return value
        form, separator, file = value.partition("=")
        if form not in self.formats:
            self.fail(f"{form!r} is not one of {', '.join(self.formats)}.", param, ctx)
        if separator and not file:
            self.fail(f"{value!r} names no file after the equals sign.", param, ctx)
        # A lone dash is standard output, as everywhere else.
        return OutputSpec(form, Path(file) if separator and file != "-" else None)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return self.name


def require_distinct(outputs: Iterable[OutputSpec]) -> tuple[OutputSpec, ...]:
    """Return the outputs, refusing two that go to one place (they would mix or overwrite)."""
    specs = tuple(outputs)
    seen: set[Path | None] = set()
    for spec in specs:
        place = None if spec.file is None else spec.file.absolute()
        if place in seen:
            where = "standard output" if spec.file is None else str(spec.file)
            raise UsageError(
                f"Two outputs go to {where}.", remedy="Give each its own file: -o json=report.json."
            )
        seen.add(place)
    return specs


def emit(texts: Mapping[OutputSpec, str]) -> None:
    """Write each text to where its output says; raises `UsageError` when a file cannot be."""
    for spec, text in texts.items():
        if spec.file is None:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
        else:
            write_report(spec.file, text)


def write_report(path: Path, text: str) -> None:
    """Write a report, ending in a newline. Raises `UsageError` where that cannot be done."""
    try:
        write_whole(path, text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(
            f"Cannot write {path}: {error.strerror or error}.",
            remedy="Name a file in an existing directory that you may write to.",
        ) from error
