"""Policies: what a subject must cover and what it may lack, each with a written reason.

Enters: policy files, shipped and given, and flags. Leaves: what is excused, and why.
"""
