"""smforge: builds CUDA wheels and images per architecture and proves what is inside them.

The Python API is three functions, described in `smforge.api`:

- `smforge.audit(subject, require=…)`: what runs on which GPU;
- `smforge.preflight(source, cuda=…, archs=…)`: what sources will compile for which GPU;
- `smforge.plan(*variants)`: what a matrix builds.

Errors are those of `smforge.errors`. Importing `smforge` loads none of this; a function loads what
it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smforge.version import __version__

if TYPE_CHECKING:
    from smforge.api import audit, plan, preflight

__all__ = ["__version__", "audit", "plan", "preflight"]


def __getattr__(name: str) -> object:
    if name == "audit":
        from smforge.api import audit  # noqa: PLC0415  # defers everything

        return audit
    if name in {"plan", "preflight"}:
        # These are packages too, which the import system binds here. They can be called.
        import importlib  # noqa: PLC0415  # defers everything

        return importlib.import_module(f"smforge.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
