"""Describes records for a published JSON Schema without importing pydantic.

Audits make and write these records, and must not wait for pydantic, which takes longer to load than
a library takes to read. pydantic calls the hooks below when it makes a schema, or reads a saved
report: annotations are not evaluated before. The hooks are described in pydantic's documentation of
custom types; a core schema and a JSON schema are dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

Schema = dict[str, Any]
Handler = Callable[[Any], Schema]

LEFT_OUT: Final = {"left_out": True}
"""`dataclasses.field` metadata: not written where the field holds its default."""


class Published:
    """The base of records that are written as JSON: unknown keys are errors when read again."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}


class Says:
    """In ``Annotated``: describes a field in the schema."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __get_pydantic_json_schema__(self, core: Schema, handler: Handler) -> Schema:
        return {**handler(core), "description": self._text}


class Must:
    """In ``Annotated``: what a value must be, in pydantic-core's words: ``pattern``, ``ge``."""

    __slots__ = ("_constraints",)

    def __init__(self, **constraints: str | int) -> None:
        self._constraints = constraints

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> Schema:
        return {**handler(source), **self._constraints}
