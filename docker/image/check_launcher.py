"""Compile what Triton compiles at its first kernel, to show that the image has what that needs.

Triton's link to the driver is C, compiled on the machine where it runs. No driver is there at build
time: an empty library of its name stands for it, so the result is linked, not loaded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

# The second is not part of what Triton promises: look there when this fails after an update.
from triton.backends.nvidia import driver
from triton.runtime import build


def main() -> None:
    """Compile and link the driver module of the installed Triton."""
    source = Path(driver.__file__).with_name("driver.c")
    with tempfile.TemporaryDirectory() as folder:
        driverless = Path(folder) / "libcuda.so.1"
        compiler = build._find_compiler("c")
        command = [compiler, "-shared", "-x", "c", "/dev/null", "-Wl,-soname,libcuda.so.1"]
        subprocess.run([*command, "-o", str(driverless)], check=True)
        built = build._build(
            "cuda_utils", str(source), folder, [folder], driver.include_dirs, driver.libraries, []
        )
        print(f"{compiler} made {Path(built).stat().st_size} bytes of {source.name}")


if __name__ == "__main__":
    sys.exit(main())
