"""Reads what probes wrote. It comes out of an image, so nothing about it is taken for granted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smforge.errors import DamagedInputError, LimitExceededError, UsageError, first_problem
from smforge.inventory.probing.records import Assembly, Extensions, Kernels, Models, Probed, Serving

MOST_BYTES = 64 << 20
"""Documents of a whole vLLM take 0.3 MB."""
_READERS: dict[str, TypeAdapter[Any]] = {
    "models": TypeAdapter(Models),
    "extensions": TypeAdapter(Extensions),
    "ptxas": TypeAdapter(Assembly),
    "flashinfer": TypeAdapter(Kernels),
    "serving": TypeAdapter(Serving),
}


def read_folder(folder: Path) -> Probed:
    """Read the folder that ``run.py FOLDER`` wrote; a document that is not there stays None.

    Raises `UsageError` where the folder holds none, and `DamagedInputError`.
    """
    found = {}
    for name in _READERS:
        path = folder / f"{name}.json"
        if path.is_file():
            if path.stat().st_size > MOST_BYTES:
                raise _too_large(str(path))
            found[name] = _document(name, path.read_bytes(), str(path))
    if not found:
        raise UsageError(
            f"{folder} holds no facts of probes.",
            remedy="Name the folder that builder/smforge/inventory/probing/programs/run.py wrote.",
        )
    return Probed(**found)


def read_output(data: bytes, where: str) -> Probed:
    """Read what ``run.py -`` wrote; `where` is how messages call it.

    Raises `DamagedInputError`.
    """
    if len(data) > MOST_BYTES:
        raise _too_large(where)
    try:
        documents = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedInputError(f"{where} is not readable JSON: {error}.") from error
    if not isinstance(documents, dict) or not documents.keys() <= _READERS.keys():
        raise DamagedInputError(f"{where} is not what the probes write.")
    return Probed(
        **{
            name: _document(name, json.dumps(document).encode(), f"{where}, {name}")
            for name, document in documents.items()
        }
    )


def _document(name: str, data: bytes, where: str) -> Any:
    try:
        document = _READERS[name].validate_json(data)
    except ValidationError as error:
        place, problem = first_problem(error)
        raise DamagedInputError(
            f"{where} is not what the probe {name} writes: {place or 'the document'}: {problem}.",
            remedy="Run the probes again, with those of this smforge.",
        ) from error
    if document.probe != name:
        raise DamagedInputError(f"{where} is of the probe {document.probe!r}, not {name}.")
    return document


def _too_large(where: str) -> LimitExceededError:
    return LimitExceededError(f"{where} exceeds {MOST_BYTES} bytes, more than any probe writes.")
