"""Reads versions.json.

Enters: the path of a matrix file. Leaves: a validated, frozen matrix in which every cell can exist.
"""
