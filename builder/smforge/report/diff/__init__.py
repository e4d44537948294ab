"""What two subjects, or two saved reports of them, do not have in common.

`sides` reads a report, `pairing` follows kernels from one side to the other, `named` and `counted`
compare with and without kernel names, `compare` gives the answer, `model` is its published form.
"""
