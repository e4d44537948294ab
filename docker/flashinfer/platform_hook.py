"""Tags a provider wheel for the CPU that it was compiled for and for any Python.

Its libraries use no interface of Python.
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
        build_data["tag"] = f"py3-none-linux_{cpu}"
