"""Runs vLLM's command and builds its server's application, as far as that goes without a GPU.

vLLM builds its parser with the defaults of every setting, and one of them is the device: where it
finds no GPU, even its version is not told. So everything is tried as it is, which shows that the
GPU is the first thing that is missing, and once more as if there were a driver.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from typing import Any

from . import models

PACKAGES = ("vllm", "torch", "fastapi", "flashinfer-python")
TOGETHER = False

VERSION, HELP, START = "vllm --version", "vllm serve --help", "vllm serve"
APPLICATION, FLASHINFER = "the server's application", "FlashInfer"
_MODEL = "smforge/no-model"
_BUILDERS = ("vllm.entrypoints.launchers.app", "vllm.entrypoints.openai.api_server")
"""Where releases of vLLM have the function that builds the application."""
_PARSERS = ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.openai.cli_args")
_ARGPARSE = ("vllm.utils.argparse_utils", "vllm.utils")
_CHARACTERS = 300
_state = {"assuming": False}


def prepare(_: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """What is tried; None where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    importlib.import_module("vllm.entrypoints.cli.main")
    return [VERSION, HELP, APPLICATION, START, FLASHINFER], {}


def assume(devices: list[str]) -> None:
    """Make things look as the probe of models does."""
    _state["assuming"] = True
    models.assume(devices)


def examine(item: str, notes: dict[str, Any]) -> None:
    """Try one thing, and raise what it raises."""
    if item == APPLICATION:
        notes["routes"] = _routes()
    elif item == FLASHINFER:
        _about_flashinfer(notes)
    elif item == START and _state["assuming"]:
        return  # Behind a driver that is none, a start shows nothing more.
    else:
        words = item.split()
        _run([*words, _MODEL] if item == START else words, notes)


def _run(words: list[str], notes: dict[str, Any]) -> None:
    """Run vLLM's command in this process; it ends with SystemExit where all is well."""
    main = importlib.import_module("vllm.entrypoints.cli.main").main
    sys.argv = words
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            main()
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"it ends with exit status {end.code}") from end
    finally:
        notes["said"] = said.getvalue().strip()[:_CHARACTERS]


def _routes() -> int:
    """Build the application that answers OpenAI's requests, and count its routes."""
    parser = _first(_ARGPARSE, "FlexibleArgumentParser")()
    arguments = _first(_PARSERS, "make_arg_parser")(parser).parse_args([_MODEL])
    application = _first(_BUILDERS, "build_app")(arguments, ("generate",))
    paths = {getattr(route, "path", "") for route in application.routes}
    if "/v1/chat/completions" not in paths:
        raise RuntimeError(f"it has no /v1/chat/completions among {len(paths)} routes")
    return len(paths)


def _about_flashinfer(notes: dict[str, Any]) -> None:
    """What vLLM itself says of FlashInfer: this decides which kernels it calls."""
    answers = importlib.import_module("vllm.utils.flashinfer")
    notes["usable"] = bool(answers.has_flashinfer())
    notes["experts"] = bool(answers.has_flashinfer_cutlass_fused_moe())


def _first(modules: tuple[str, ...], name: str) -> Callable[..., Any]:
    """A function from the first of these modules that has it."""
    for module in modules:
        with contextlib.suppress(ImportError, AttributeError):
            found: Callable[..., Any] = getattr(importlib.import_module(module), name)
            return found
    raise RuntimeError(f"{name} is in none of {', '.join(modules)}")
