"""Tags a wheel for the CPU that its cell is built for and for any Python.

A provider's libraries use no interface of Python. The shim holds no libraries, but requires the
providers of its cell: an index must tell that of one CPU from that of another.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own subclasses omit it
    """hatchling runs the one hook class of this file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        build_data["pure_python"] = False
        # Set where the base compiles for another CPU than its own.
        cpu = os.environ.get("CROSS_CPU") or platform.machine()
        system = self.config.get("system", "linux")
        build_data["tag"] = f"py3-none-{system}_{cpu}"
