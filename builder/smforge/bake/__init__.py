"""Drives docker buildx bake.

Enters: a plan. Leaves: artifacts on disk, logs and a record of the run.
"""
