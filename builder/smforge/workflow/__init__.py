"""Builds a cell from end to end.

Enters: a matrix, the names of variants and an engine. Leaves: audited artefacts in their place.
"""
