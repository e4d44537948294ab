"""Programs that run inside an image, or with any Python, and write down facts about it.

They know nothing of smforge: the standard library of Python 3.10 is all they have. `run.py` is the
entry; what it writes is read by `smforge.inventory.probing`.
"""
