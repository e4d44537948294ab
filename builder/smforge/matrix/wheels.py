"""Which of a release's wheels a platform and a Python take, by the names of the files (PEP 425)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from smforge.arch.platforms import wheel_platform

_PYTHON_TAG = re.compile(r"-(cp\d+|py3)-(\w+)-[^-]+\.whl\Z")


def installs(file: str, python: str | None) -> bool:
    """Whether a wheel's name admits a version of Python (``3.11``).

    With None, for a Python that is not known, only a wheel for every Python is admitted.
    """
    found = _PYTHON_TAG.search(file)
    if found is None:
        return False
    interpreter, abi = found.groups()
    if python is None:
        return abi == "abi3" or interpreter == "py3"
    minor = int(python.partition(".")[2])
    if abi == "abi3":
        return int(interpreter.removeprefix("cp3")) <= minor
    return interpreter in ("py3", f"cp3{minor}")


def wheel_for(files: Mapping[str, str], platform: str, python: str | None) -> str | None:
    """The first wheel of a release for a platform and a Python; None if there is none."""
    return next(
        (file for file in files if wheel_platform(file) == platform and installs(file, python)),
        None,
    )
