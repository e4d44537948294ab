"""Loads every library of the environment that is linked with CUDA or torch.

Each is loaded in a fork of a process that has imported torch, as importing its package would, with
all symbols bound at once (RTLD_NOW). The dynamic loader's message says what stopped it. Where that
is the missing driver, the library is loaded once more with a stand-in for the driver
(driver.py), so that everything else of it is still examined.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
from typing import Any

from . import driver
from .elf import libraries, linking

PACKAGES = ("torch",)
TOGETHER = False

_LINKED = re.compile(r"lib(cuda|cudart|torch|torch_\w+|c10|c10_\w+)\.so")
"""What makes a library an extension in the sense of this probe."""
_TORCH = re.compile(r"lib(torch|c10)(_\w+)?\.so")
"""What torch itself loads. Python imports other modules."""
_stand_in: list[str] = []


def prepare(_: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The paths of the libraries, whether torch could be imported first, and the driver."""
    found, functions = [], set()
    for path, links in libraries():
        if any(map(_LINKED.match, links.needed)):
            found.append(path)
            functions.update(driver.functions(links))
    there = _loads(driver.SONAME)
    settings = {"torch": _import_torch(), "driver": there}
    if not there:
        try:
            _stand_in.append(driver.written(sorted(functions)))
        except KeyError:  # another CPU
            settings["stand_in"] = False
        else:
            settings["stand_in"] = True
    return sorted(found), settings


def examine(item: str, notes: dict[str, Any]) -> None:
    """Load one library; raises OSError with the loader's message."""
    links = linking(item)
    notes["needed"] = list(links.needed)
    notes["module"] = b"\0PyInit_" in links.strings or any(map(_TORCH.match, links.needed))
    notes["without_driver"] = None
    try:
        ctypes.CDLL(item, mode=os.RTLD_NOW)
    except OSError as error:
        if driver.SONAME not in str(error) or not _stand_in:
            raise
        notes["without_driver"] = str(error)
        ctypes.CDLL(_stand_in[0])
        ctypes.CDLL(item, mode=os.RTLD_NOW)


def _import_torch() -> str | None:
    """None where it was imported, else why not."""
    try:
        importlib.import_module("torch")
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
