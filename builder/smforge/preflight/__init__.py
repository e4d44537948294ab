"""Finds from the real build descriptions what a build will compile.

Input: sources, a CUDA version and an arch list. Output: units, skips and findings.
"""

from smforge.callable_package import make_callable

make_callable(__name__)
