"""Runs FlashInfer's own reading of FLASHINFER_CUDA_ARCH_LIST, one element at a time.

    python flashinfer_archs.py ROOT OUTPUT

Writes what each element of the list stands for: ``{"12.0": {"targets": ["12.0f"]}}``, or why
FlashInfer refuses it: ``{"12.0": {"refused": "SM 12.x requires CUDA >= 12.9"}}``.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

stand_ins: Any = importlib.import_module("flashinfer_stand_ins")


VARIABLE = "FLASHINFER_CUDA_ARCH_LIST"


def main(root: Path, output: Path) -> None:
    words = os.environ[VARIABLE].split(" ")
    # Modules of FlashInfer may read the whole list while they are imported.
    stand_ins.prepare(root)
    context: Any = importlib.import_module("flashinfer.compilation_context").CompilationContext
    output.write_text(json.dumps({word: _reading(context, word) for word in words}))


def _reading(context: Any, word: str) -> dict[str, Any]:
    os.environ[VARIABLE] = word
    try:
        found = context().TARGET_CUDA_ARCHS
    except RuntimeError as error:
        return {"refused": str(error)}
    return {"targets": sorted(f"{major}.{minor}" for major, minor in found)}


if __name__ == "__main__":
    main(*(Path(word).resolve() for word in sys.argv[1:3]))
