"""Stands for LMCache."""
