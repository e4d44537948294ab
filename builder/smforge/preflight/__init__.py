"""Reads off the real build descriptions what a build will compile.

Enters: sources, a CUDA version and an arch list. Leaves: units, skips and findings.
"""
