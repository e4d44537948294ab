"""Drives docker buildx bake.

Input: a plan. Output: artifacts on disk, logs and a record of the run.
"""
