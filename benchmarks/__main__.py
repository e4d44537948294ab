"""``make bench``: fetches real wheels once, and measures the native reader beside cuobjdump."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEELS = Path(__file__).parents[1] / ".smforge" / "wheels"
LIBRARIES = {
    "vllm==0.33.0": "manylinux_2_28_x86_64",
    "nvidia-cublas==13.10.0.20": "manylinux1_x86_64",
    "nvidia-nccl-cu13==2.32.3": "manylinux_2_27_x86_64",
    "torch==2.5.1": "manylinux1_x86_64",
}
CUBINS = ("flashinfer-cubin==0.6.13", "any")


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


def main() -> None:
    wheels = [str(fetch(*item)) for item in LIBRARIES.items()]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(fetch(*CUBINS)) as archive:
            archive.extractall(folder)
        for subjects in ([*wheels, "--rounds", "5"], [folder, "--rounds", "1"]):
            command = [sys.executable, "-m", "benchmarks.libraries", *subjects]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
