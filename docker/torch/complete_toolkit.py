"""Complete a CUDA toolkit with what torch's wheels bring, so that nothing is installed twice.

usage: complete_toolkit.py CUDA_HOME CUDA_TAG

A base from packages has the compiler only: the headers and libraries of CUDA's mathematics are
linked from the wheels that torch depends on. A torch built for another CUDA is refused.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path


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


def torch_tag(site_packages: Path) -> str:
    """The CUDA that torch was built for, as ``cu130``, read without the seconds of importing it."""
    text = (site_packages / "torch" / "version.py").read_text(encoding="utf-8")
    found = re.search(r"^cuda\b.*= '(\d+)\.(\d+)'", text, re.MULTILINE)
    return f"cu{found[1]}{found[2]}" if found else "no CUDA"


def main(toolkit: Path, cuda_tag: str) -> None:
    """Complete `toolkit` from the installed torch."""
    site_packages = Path(sysconfig.get_path("purelib"))
    if (tag := torch_tag(site_packages)) != cuda_tag:
        raise SystemExit(
            f"error: the installed torch is built for {tag}, the wheels are to be for {cuda_tag}. "
            f"Name an index that has torch for {cuda_tag} in a pip.conf, with PIP_CONFIG_FILE."
        )
    for wheels in sorted(site_packages.glob("nvidia/cu[0-9]*")):
        print(f"{link_missing(wheels, toolkit)} names of {wheels.name} linked into {toolkit}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
