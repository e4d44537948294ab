"""Lists every code object of a subject.

Enters: a wheel, folder, file or image. Leaves: files, regions, code objects and kernel names,
as found, without judgement.
"""
