"""Reads typed fields of foreign JSON.

Everything raises `DamagedInputError`, naming the document as `where`, for a value of another type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smforge.errors import DamagedInputError


def parse_document(data: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object. Raises `DamagedInputError` for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedInputError(f"{where} is not readable JSON: {error}.") from error
    return mapping_of(document, where)


def platform_of(fields: Mapping[str, Any], where: str) -> str | None:
    """``linux/amd64`` out of the fields of a platform; None where they are empty."""
    names = [text_of(fields.get(key), where) for key in ("os", "architecture", "variant")]
    text = "/".join(name for name in names if name)
    if not text:
        return None
    return text.removesuffix("/v8") if text == "linux/arm64/v8" else text


def text_of(value: object, where: str) -> str:
    """A text; empty where the field is missing."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DamagedInputError(f"{where} has {type(value).__name__} where a text belongs.")
    return value


def texts_of(value: object, where: str) -> dict[str, str]:
    """An object of texts; empty where the field is missing."""
    return {key: text_of(item, where) for key, item in mapping_of(value or {}, where).items()}


def list_of(value: object, where: str) -> list[Any]:
    """A list; empty where the field is missing."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise DamagedInputError(f"{where} has {type(value).__name__} where a list belongs.")
    return value


def mapping_of(value: object, where: str) -> dict[str, Any]:
    """An object, which must be there."""
    if not isinstance(value, dict):
        raise DamagedInputError(f"{where} has {type(value).__name__} where an object belongs.")
    return value
