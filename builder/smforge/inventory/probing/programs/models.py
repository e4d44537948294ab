"""Imports and inspects every model architecture of vLLM's registry, as vLLM does on a builder.

vLLM inspects a model in a process that must not use CUDA: it loads the general plugins, imports the
model's module and derives a description from the class. The same is done here. Calls into torch's
lazy initialisation of CUDA are noted even where the exception is caught.

Some modules ask for names that vLLM defines only where it finds a GPU. What fails is therefore also
imported with a stand-in for the driver and vLLM's CUDA platform, which shows whether
the GPU was all that was missing.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import re
import traceback
from typing import Any

from . import driver

PACKAGES = ("vllm", "torch", "transformers", "cuda-bindings")
TOGETHER = True

_REGISTRY = "vllm.model_executor.models.registry"
_touches: list[traceback.StackSummary] = []


def prepare(_: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """The names of the architectures; None where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    settings: dict[str, Any] = {"torch_watched": _watch_torch()}
    importlib.import_module("vllm.plugins").load_general_plugins()
    registry = importlib.import_module(_REGISTRY)
    platforms = importlib.import_module("vllm.platforms")
    platform = type(platforms.current_platform).__name__
    settings |= {"platform": platform, "requires": _requires()}
    return list(registry.ModelRegistry.models), settings


def assume(devices: list[str]) -> None:
    """Put the stand-in in the driver's place, and have vLLM take the CUDA platform.

    On a GPU vLLM learns the capability from NVML, without CUDA; here it gets a required one.
    """
    ctypes.CDLL(driver.written(driver.environment_functions()), mode=ctypes.RTLD_GLOBAL)
    platforms = importlib.import_module("vllm.platforms")
    major, _, minor = (devices or ["9.0"])[0].partition(".")
    capability = platforms.interface.DeviceCapability(int(major), int(minor))
    platform = importlib.import_module("vllm.platforms.cuda").CudaPlatform
    platform.get_device_capability = classmethod(lambda *_, **__: capability)
    platforms._current_platform = platform()  # type: ignore[attr-defined]  # a module's variable


def examine(item: str, notes: dict[str, Any]) -> None:
    """Import the architecture's module and inspect its class."""
    registry = importlib.import_module(_REGISTRY)
    model = registry.ModelRegistry.models[item]
    notes["module"] = getattr(model, "module_name", None)
    notes["class_name"] = getattr(model, "class_name", None)
    _touches.clear()
    notes["cuda"] = _touches
    registry._ModelInfo.from_model_cls(model.load_model_cls())


def _watch_torch() -> bool:
    """Note who asks torch to initialise CUDA; False where torch cannot be watched."""
    try:
        cuda = importlib.import_module("torch.cuda")
        initialise = cuda._lazy_init
    except (ImportError, AttributeError):
        return False

    def noted() -> None:
        _touches.append(traceback.StackSummary.from_list(traceback.extract_stack()[:-1]))
        initialise()

    cuda._lazy_init = noted  # type: ignore[attr-defined]  # what torch calls by this name
    return True


def _requires() -> list[str]:
    """The distributions that vLLM cannot be installed without, in their normal form."""
    try:
        requirements = importlib.metadata.requires("vllm") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[\w.-]+", one) for one in requirements if "extra ==" not in one)
    return sorted({re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name})
