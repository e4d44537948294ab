"""Stores that keep verified results of cells: output directories, repositories of registries."""
