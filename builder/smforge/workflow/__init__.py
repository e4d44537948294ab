"""Builds a cell from end to end.

Input: a matrix, the names of variants and an engine. Output: audited artefacts in their place.
"""
