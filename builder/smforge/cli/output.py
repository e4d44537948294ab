"""The shared ``-o`` flag: the format of a result and where it is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from smforge.cli.plain_text import encodable
from smforge.errors import OutputError, UsageError
from smforge.files import unwritten
from smforge.writing import write_whole

TABLE = "table"
_OF_EXTENSION = {
    ".txt": TABLE,
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".xml": "junit",
    ".sarif": "sarif",
    ".html": "html",
    ".htm": "html",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""The format of a file whose name alone is given. ``.sarif.json`` is SARIF too."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One ``-o``: a format, and the file to write (standard output if None)."""

    format: str
    file: Path | None = None


class OutputType(click.ParamType[OutputSpec]):
    """Reads ``json``, ``json=report.json`` or ``report.json``.

    The formats that a command offers are given to it.
    """

    name = "FORMAT[=FILE] | FILE"

    def __init__(self, formats: Iterable[str]) -> None:
        self.formats = tuple(formats)

    def convert(
        self, value: str | OutputSpec, param: click.Parameter | None, ctx: click.Context | None
    ) -> OutputSpec:
        if isinstance(value, OutputSpec):
            return value
        form, separator, file = value.partition("=")
        if form not in self.formats and not separator and (named := _of_name(value)):
            if named not in self.formats:
                offered = ", ".join(self.formats)
                self.fail(f"{value} would be {named}, which is not one of {offered}.", param, ctx)
            return OutputSpec(named, Path(value))
        if form not in self.formats:
            from difflib import get_close_matches  # noqa: PLC0415  # defers difflib

            near = get_close_matches(form, self.formats, n=1)
            self.fail(
                f"{form!r} is not one of {', '.join(self.formats)}."
                + (f" Did you mean {near[0]}?" if near else " A file's name is report.json."),
                param,
                ctx,
            )
        if separator and not file:
            self.fail(f"{value!r} names no file after the equals sign.", param, ctx)
        # A lone dash is standard output, as everywhere else.
        return OutputSpec(form, Path(file) if separator and file != "-" else None)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return self.name


def _of_name(value: str) -> str | None:
    """The format that a file name ends in."""
    lower = value.lower()
    if lower.endswith(".sarif.json"):
        return "sarif"
    stem, dot, ending = lower.rpartition(".")
    return _OF_EXTENSION.get(dot + ending) if stem.rpartition("/")[2] else None


def checked_outputs(
    outputs: Iterable[OutputSpec], inputs: Iterable[str | Path] = ()
) -> tuple[OutputSpec, ...]:
    """Return the outputs, before anything is read or built for them.

    Raises `UsageError` for two that go to one place (they would mix or overwrite), for a file that
    cannot be written, and for one of the `inputs`: a report would replace what it is about.
    """
    specs, read = tuple(outputs), tuple(inputs)
    seen: set[Path | None] = set()
    for spec in specs:
        place = None if spec.file is None else spec.file.absolute()
        if place in seen:
            where = "standard output" if spec.file is None else str(spec.file)
            raise UsageError(
                f"Two outputs go to {where}.", remedy="Give each its own file: -o json=report.json."
            )
        seen.add(place)
        if spec.file is not None and any(_is_same(spec.file, one) for one in read):
            raise _unwritable(spec.file, "it is what is read here")
        if spec.file is not None and (reason := _why_not_writable(spec.file)):
            raise _unwritable(spec.file, reason)
    return specs


def _is_same(path: Path, read: str | Path) -> bool:
    try:
        return path.samefile(read)
    except (OSError, ValueError):
        # One of them is not there, or is no path: image:NAME.
        return False


def _why_not_writable(path: Path) -> str | None:
    """Why a report cannot be written there, as far as this can be known in advance."""
    try:
        path = path.resolve()
        if path.is_dir():
            return "it is a folder"
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        if path.exists() and not path.is_file():
            # A device or a pipe is written to.
            return None if os.access(path, os.W_OK) else "you may not write to it"
        # A regular file is replaced by a new one next to it: only a try shows whether that is
        # possible.
        trial = path.parent / f".{path.name[:100]}.{os.getpid()}"
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        trial.unlink()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _unwritable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"Cannot write {path}: {reason}.",
        remedy="Name a file in an existing directory that you may write to.",
    )


def color_wanted(spec: OutputSpec) -> bool:
    """Whether an output is coloured: on a terminal, unless NO_COLOR is set."""
    return spec.file is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def emit(texts: Mapping[OutputSpec, str]) -> None:
    """Write each text to where its output says.

    Raises `UsageError` when a file cannot be written, and `OutputError` when standard output takes
    no more.
    """
    for spec, text in texts.items():
        if spec.file is None:
            print_result(text, spec.format)
        else:
            # A lone surrogate, which stands for a byte that is no text, cannot be encoded.
            write_report(spec.file, encodable(text, spec.format, "utf-8"))


def print_result(text: str, form: str = TABLE) -> None:
    """Write to standard output, in characters that it can hold, all of it or an error.

    A reader that closes the pipe (head, less) needs no more of it: the exit code stays that of the
    result. click would make it 1, which says that something was found.
    """
    whole = encodable(_ended(text), form, sys.stdout.encoding)
    try:
        sys.stdout.write(whole)
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return
        raise OutputError(
            f"Cannot write to standard output: {error.strerror or error}.",
            remedy="Make room, or write to a file elsewhere: -o json=FILE.",
        ) from error


def write_report(path: Path, text: str) -> None:
    """Write a report, ending in a newline.

    Raises `OutputError` where the file system takes no more, and `UsageError` for another reason.
    """
    try:
        write_whole(path, _ended(text))
    except OSError as error:
        error.filename = str(path)
        raise unwritten(error) or _unwritable(path, error.strerror or str(error)) from error


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"
