"""Judges an inventory.

Input: an inventory and requirements. Output: for each device and kernel whether it runs, and
findings.
"""
