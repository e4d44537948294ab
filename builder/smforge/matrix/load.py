"""Reads versions.json into a matrix, or reports every mistake in it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from smforge.errors import ConfigurationError, SeveralProblemsError
from smforge.matrix import paths
from smforge.matrix.checks import problems
from smforge.matrix.lookup import closest
from smforge.matrix.models import Document
from smforge.matrix.schema import keys_at

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DEFAULT_FILE = Path("versions.json")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Matrix:
    """A validated versions.json: every cell of it can exist."""

    path: Path
    sha256: str
    """Of the file's bytes, so that a record can say what it was built from."""
    document: Document


def load(path: Path | None = None) -> Matrix:
    """Read a matrix file, versions.json of the current directory by default.

    Raises `ConfigurationError` with the position of a syntax error (line and column) or the JSON
    path of a mistake; `SeveralProblemsError` when there are several; `ImpossibleCellError` for a
    cell that cannot be built.
    """
    file = DEFAULT_FILE if path is None else path
    data = _read(file)
    try:
        document = parse(data)
    except SeveralProblemsError as error:
        raise SeveralProblemsError([_in_file(file, one) for one in error.problems]) from None
    except ConfigurationError as error:
        raise _in_file(file, error) from None
    return Matrix(file, hashlib.sha256(data).hexdigest(), document)


def parse(data: bytes) -> Document:
    """Read the content of a matrix file; raises as `load` does."""
    _check_syntax(data)
    try:
        document = Document.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise _together([_explain(one) for one in details if _says_more(one, details)]) from None
    if found := list(problems(document)):
        raise _together(found)
    return document


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _absent(file) from None
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read {file}: {error.strerror or error}.",
            remedy="Name a readable matrix with --config FILE.",
        ) from None
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(
            f"{file} is larger than {_MAX_BYTES >> 20} MiB.", remedy="This is no matrix file."
        )
    return data


def _absent(file: Path) -> ConfigurationError:
    if file != DEFAULT_FILE:
        remedy = "Name the matrix with --config FILE."
        return ConfigurationError(f"There is no {file}.", remedy=remedy)
    here = Path.cwd()
    above = next((place for place in here.parents if (place / file).is_file()), None)
    if above is not None:
        return ConfigurationError(
            f"There is no {file} in {here}, but there is one in {above}.",
            remedy=f"Run this in {above}, or name it with --config {above / file}.",
        )
    return ConfigurationError(
        f"There is no {file} in {here}, so no project is here.",
        remedy="Make one with 'smforge init DIR', or name a matrix with --config FILE.",
    )


def _check_syntax(data: bytes) -> None:
    """Find what pydantic's parser does not say well: positions, and duplicate keys."""
    try:
        json.loads(data.decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"byte {error.start} is not UTF-8.", remedy="Save the file as UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"line {error.lineno}, column {error.colno}: {error.msg}.",
            remedy="Correct the JSON there.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"this is not usable JSON: {error}.", remedy="Fix it.") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigurationError(
                f"one object has the key {key!r} twice.", remedy="Take one of them out."
            )
        found[key] = value
    return found


def _says_more(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a mistake is one of its own: a list of one wrong word is not also an empty list."""
    where = detail["loc"]
    return detail["type"] != "too_short" or not any(
        other["loc"] != where and other["loc"][: len(where)] == where for other in details
    )


_OWN_STEP = re.compile(r"\[[\w-]+\]\Z")


def _before_key(steps: tuple[int | str, ...]) -> int | None:
    """The number of the step that pydantic's ``[key]`` at the end is about."""
    return len(steps) - 2 if len(steps) > 1 and steps[-1] == "[key]" else None


def _explain(detail: ErrorDetails) -> ConfigurationError:
    # pydantic's own steps are in brackets: the key of an object, the kind of a base. A key of the
    # matrix that looks like one is known by what follows it, or by being the unknown one itself.
    steps = detail["loc"]
    named = len(steps) - 1 if detail["type"] == "extra_forbidden" else _before_key(steps)
    where = tuple(
        step for at, step in enumerate(steps) if at == named or not _OWN_STEP.match(str(step))
    )
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    remedy = "'smforge explain matrix' describes the keys."
    match detail["type"]:
        case "extra_forbidden":
            message = f"the key {where[-1]!r} is unknown here"
            outer = tuple(step for step in steps[:-1] if step != "[key]")
            remedy = closest(str(where[-1]), keys_at(outer))
        case "missing":
            message = "this is missing"
            remedy = "Add it."
        case "too_short":
            message = "this is empty"
            remedy = "Name at least one, or leave the whole out."
        case "literal_error" if "[key]" in detail["loc"]:
            message = f"the key {where[-1]!r} is unknown here: {message}"
    return ConfigurationError(f"{paths.render(where)}: {message}.", remedy=remedy)


def _together(found: Sequence[ConfigurationError]) -> ConfigurationError:
    return found[0] if len(found) == 1 else SeveralProblemsError(found)


def _in_file(file: Path, error: ConfigurationError) -> ConfigurationError:
    return type(error)(f"{file}: {error.message}", remedy=error.remedy)
