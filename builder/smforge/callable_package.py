"""Lets a package be called like the function of the API that has its name.

``smforge.plan`` and ``smforge.preflight`` are packages and functions of the API. Whichever is
imported first, Python binds the package to the name, so the package itself answers the call
(Python reference, "Customizing module attribute access").
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from smforge import api  # noqa: PLC0415  # defers everything

        return getattr(api, self.__name__.rpartition(".")[2])(*arguments, **named)


def make_callable(name: str) -> None:
    """Let the package `name` be called: it calls the function of that name in `smforge.api`."""
    sys.modules[name].__class__ = _CallablePackage
