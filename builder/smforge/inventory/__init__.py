"""Lists every code object of a subject.

Input: a wheel, folder, file or image. Output: files, regions, code objects and kernel names,
as found, without judgement.
"""
