"""What an architecture is.

Input: text (arch lists, flags, names) and the tables in data/. Output: capabilities, targets,
toolkits, and the rule that says which code runs on which device.
"""
