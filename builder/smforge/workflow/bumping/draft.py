"""A matrix while it is changed: its content, and what has to be said about the change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smforge.bake.inputs.origin import Origin
from smforge.fetching.index import PackageIndex
from smforge.matrix.models import Document, Variant
from smforge.preflight.cache import Cache


@dataclass(frozen=True, slots=True)
class Means:
    """Where a bump looks things up."""

    index: PackageIndex
    cache: Cache
    """Of preflight: fetched sources and configurations."""
    origin: Origin = field(default_factory=Origin)
    """Where the site gets the sources of other projects from."""
    announce: Callable[[str], None] = field(default=lambda _text: None)
    """Called with a sentence before what may take seconds."""


@dataclass(slots=True)
class Draft:
    """The content of a matrix, which the parts of a bump change in place."""

    path: Path
    before: Document
    content: dict[str, Any]
    """As JSON has it, keys in the order of the file."""
    remarks: list[str] = field(default_factory=list)
    """Sentences about what a person has to decide or to do."""

    @classmethod
    def of(cls, path: Path, text: str, document: Document) -> Draft:
        """The draft that a matrix file starts with."""
        return cls(path, document, json.loads(text))

    @property
    def sources(self) -> dict[str, Any]:
        """The part of the content that says where components come from."""
        sources: dict[str, Any] = self.content["sources"]
        return sources

    @property
    def toolkits(self) -> dict[str, Any]:
        """The part of the content with the toolkits."""
        toolkits: dict[str, Any] = self.content["toolkits"]
        return toolkits

    def variants_with(self, component: str) -> Iterator[tuple[str, Variant]]:
        """The variants that have a component."""
        for name, variant in self.before.variants.items():
            if getattr(variant.components, component) is not None:
                yield name, variant
