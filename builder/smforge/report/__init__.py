"""Renders verdicts.

Enters: a verdict. Leaves: a table, JSON, Markdown and the other formats.
"""
