"""Makes a smaller or more complete copy of what exists.

Input: a wheel, folder or library, and the devices to keep or to serve. Output: a copy without the
code objects that no kept device can use, with machine code made from embedded PTX, and the proof
that nothing else changed. The original is only read.
"""
