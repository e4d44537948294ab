"""Reads versions.json.

Input: the path of a matrix file. Output: a validated, frozen matrix in which every cell can exist.
"""
