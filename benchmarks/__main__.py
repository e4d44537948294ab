"""``make bench``: fetches real wheels once, and measures the native reader beside cuobjdump.

    python -m benchmarks [--wheels NAME...] [--comparisons targets symbols symbols-ptx]
                         [--least MB] [--rounds 5] [--without-cubins]

``make bench BENCH=--quick`` is what the project promises of libraries of 90 MB and more, and of the
wheel of 16,000 cubins: about ten minutes on two quiet cores, and everything about thirty.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.libraries import COMPARISONS

WHEELS = Path(__file__).parents[1] / ".smforge" / "wheels"
LIBRARIES = {
    "vllm==0.33.0": "manylinux_2_28_x86_64",
    "nvidia-cublas==13.10.0.20": "manylinux1_x86_64",
    "nvidia-nccl-cu13==2.32.3": "manylinux_2_27_x86_64",
    "torch==2.5.1": "manylinux1_x86_64",
}
CUBINS = ("flashinfer-cubin==0.6.13", "any")
QUICK = ("--least", "90", "--comparisons", "targets", "symbols")


def fetch(requirement: str, platform: str) -> Path:
    """Download one wheel, once."""
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(WHEELS.glob(pattern)):
        WHEELS.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--only-binary=:all:", "--platform", platform, "--python-version", "3.11"]
        subprocess.run([*pip, *wanted, "--dest", str(WHEELS), requirement], check=True)
    return next(WHEELS.glob(pattern))


def main(arguments: Sequence[str]) -> None:
    given = _parse(arguments)
    shared = ["--comparisons", *given.comparisons, "--least", str(given.least)]
    wheels = [str(fetch(*item)) for item in LIBRARIES.items() if _name(item[0]) in given.wheels]
    if wheels:
        _measure(*wheels, *shared, "--rounds", str(given.rounds))
    if not given.without_cubins:
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(fetch(*CUBINS)) as archive:
                archive.extractall(folder)
            _measure(folder, *shared, "--rounds", "1")


def _measure(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.libraries", *arguments], check=True)


def _name(requirement: str) -> str:
    return requirement.partition("==")[0]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="See the module.")
    names = [_name(requirement) for requirement in LIBRARIES]
    parser.add_argument("--wheels", nargs="*", choices=names, default=names)
    parser.add_argument("--comparisons", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--least", type=int, default=10, help="MB of a wheel's libraries")
    parser.add_argument("--rounds", type=int, default=5, help="of the libraries; cubins take one")
    parser.add_argument("--without-cubins", action="store_true")
    parser.add_argument("--quick", action="store_true", help=f"the same as {' '.join(QUICK)}")
    given = parser.parse_args(arguments)
    return parser.parse_args([*QUICK, *arguments]) if given.quick else given


if __name__ == "__main__":
    main(sys.argv[1:])
