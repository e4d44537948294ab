"""Joins what an audit misses to the sources of the release, and to the line that leaves it out."""
