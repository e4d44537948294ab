"""The names of a platform's CPU: Docker's, and those of compilers, Python and wheels."""

from __future__ import annotations

from collections.abc import Mapping

PROCESSORS: Mapping[str, str] = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Docker's name of a platform, and the name of its CPU elsewhere."""
PLATFORMS: Mapping[str, str] = {cpu: platform for platform, cpu in PROCESSORS.items()}
"""The same in the other direction."""
WHEEL_SUFFIX = ".whl"


def wheel_platform(name: str) -> str | None:
    """Read the platform from a wheel's name: ``…-manylinux_2_28_x86_64.whl`` is linux/amd64."""
    tag = name.removesuffix(WHEEL_SUFFIX).rsplit("-", 1)[-1]
    if "linux" not in tag:
        return None
    return next((value for cpu, value in PLATFORMS.items() if tag.endswith(cpu)), None)
