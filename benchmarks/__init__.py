"""Measurements of the audit on real files: speed, memory, agreement with cuobjdump, fuzzing."""
