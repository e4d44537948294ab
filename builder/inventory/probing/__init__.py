"""Runs the probes of `builder.inventory.probes` and reads the facts that they write."""
