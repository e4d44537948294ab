"""Renders verdicts.

Input: a verdict. Output: a table, JSON, Markdown and the other formats.
"""
