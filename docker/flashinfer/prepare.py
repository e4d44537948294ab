"""Make FlashInfer's source tree usable in place.

usage: prepare.py SOURCE_TREE CUDA_HOME

Two things are lacking. The tree's own data directory: without it nvcc takes the toolkit's CCCL
instead of FlashInfer's, and some modules do not compile. And the headers and libraries of CUDA's
mathematics, which a base from packages leaves to torch, so that nothing is installed twice.
"""

from __future__ import annotations

import importlib
import re
import sys
import sysconfig
from pathlib import Path


def make_data_directory(source: Path) -> None:
    """Run the step of FlashInfer's own build backend that an editable installation runs."""
    sys.path.insert(0, str(source))
    importlib.import_module("build_backend")._create_data_dir(use_symlinks=True)


def link_missing(wheels: Path, toolkit: Path) -> int:
    """Link into `toolkit` what torch's wheels carry and it lacks; returns how many names."""
    linked = 0
    for part in ("include", "lib"):
        for path in sorted((wheels / part).glob("*")):
            names = {path.name, re.sub(r"\.so\..*", ".so", path.name)}
            for name in sorted(names):
                link = toolkit / part / name
                if not link.exists():
                    link.symlink_to(path)
                    linked += 1
    return linked


def main(source: Path, toolkit: Path) -> None:
    """Prepare `source` and complete `toolkit`."""
    make_data_directory(source)
    site_packages = Path(sysconfig.get_path("purelib"))
    for wheels in sorted(site_packages.glob("nvidia/cu[0-9]*")):
        print(f"{link_missing(wheels, toolkit)} names of {wheels.name} linked into {toolkit}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
