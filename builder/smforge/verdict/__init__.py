"""Judges an inventory.

Enters: an inventory and requirements. Leaves: per device and kernel whether it runs, and findings.
"""
