"""Runs of many cells: which cells, on which machine, in which state, and their results together."""
