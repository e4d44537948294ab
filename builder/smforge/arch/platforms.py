"""What a platform's CPU is called: by Docker, and by compilers, Python and wheels."""

from __future__ import annotations

from collections.abc import Mapping

PROCESSORS: Mapping[str, str] = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Docker's name of a platform, and what everyone else calls its CPU."""
PLATFORMS: Mapping[str, str] = {cpu: platform for platform, cpu in PROCESSORS.items()}
"""The same the other way round."""
