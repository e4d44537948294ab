"""Make FlashInfer's source tree usable in place.

usage: prepare.py SOURCE_TREE

The tree lacks its own data directory: without it nvcc takes the toolkit's CCCL instead of
FlashInfer's, and some modules do not compile.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def make_data_directory(source: Path) -> None:
    """Run the step of FlashInfer's own build backend that an editable installation runs."""
    sys.path.insert(0, str(source))
    importlib.import_module("build_backend")._create_data_dir(use_symlinks=True)


if __name__ == "__main__":
    make_data_directory(Path(sys.argv[1]))
