"""Runs the probes of `smforge.inventory.probing.programs` and reads the facts that they write."""
