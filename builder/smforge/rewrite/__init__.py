"""Makes a smaller or more complete copy of what exists.

Enters: a wheel, folder or library, and the devices to keep or to serve. Leaves: a copy without the
code objects that no kept device can use, with machine code made from embedded PTX, and the proof
that nothing else changed. The original is only read.
"""
