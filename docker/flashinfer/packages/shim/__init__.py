"""Where FlashInfer asks for modules compiled ahead of time; the providers are separate packages."""

from importlib.metadata import entry_points, version
from typing import Any

__version__ = version("flashinfer-jit-cache")


def get_jit_cache_providers() -> tuple[Any, ...]:
    """The installed providers, in the order of their names."""
    found = entry_points(group="flashinfer_jit_cache.providers")
    return tuple(entry.load()() for entry in sorted(found, key=lambda entry: entry.name))
