"""Finds what a list loses by comparing configurations."""
