"""Reads off the real build descriptions what a build will compile.

Enters: sources, a CUDA version and an arch list. Leaves: units, skips and findings.
"""

from smforge.callable_package import make_callable

make_callable(__name__)
