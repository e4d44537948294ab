"""Starts FlashInfer for each device with compilation and downloads disabled, and loads its kernels.

Every module that an installed provider of compiled kernels names is asked for, as it would be on
the device. FlashInfer learns its target once per process, so each device has its own.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from typing import Any

PACKAGES = ("flashinfer-python", "flashinfer-cubin", "flashinfer-jit-cache", "torch")
TOGETHER = False
_NOWHERE = "http://127.0.0.1:9"
_CHARACTERS = 500


def prepare(devices: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """The devices; None where FlashInfer is not installed."""
    if importlib.util.find_spec("flashinfer") is None:
        return None
    with contextlib.suppress(Exception):
        # Once for all devices; where it fails, FlashInfer will say so.
        importlib.import_module("torch")
    return list(devices), {}


def examine(item: str, notes: dict[str, Any]) -> None:
    """Fill in the providers, and for each module the one it was loaded from, or why it was not."""
    os.environ["FLASHINFER_CUDA_ARCH_LIST"] = item
    os.environ["FLASHINFER_DISABLE_JIT"] = "1"
    os.environ["FLASHINFER_CUBINS_REPOSITORY"] = _NOWHERE
    importlib.import_module("flashinfer")
    env = importlib.import_module("flashinfer.jit.env")
    notes["providers"] = [
        {"id": str(one.provider_id), "modules": len(one.modules)}
        for one in env.FLASHINFER_AOT_PROVIDERS
    ]
    notes["loaded"], notes["refused"], notes["failed"] = {}, [], {}
    for name in sorted({name for one in env.FLASHINFER_AOT_PROVIDERS for name in one.modules}):
        # FlashInfer's own choice among the providers; it compiles where this is empty.
        artifacts = env.get_aot_artifacts(name)
        if not artifacts:
            notes["refused"].append(name)
        for artifact in artifacts:
            try:
                _load(artifact.path)
            except Exception as error:
                notes["failed"][name] = f"{type(error).__name__}: {error}"[:_CHARACTERS]
            else:
                notes["loaded"][name] = str(artifact.provider_id)


def _load(path: object) -> None:
    """Load a module as FlashInfer does, which hides what this raises and goes on to compile."""
    importlib.import_module("tvm_ffi").load_module(str(path))
