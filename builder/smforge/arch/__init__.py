"""What an architecture is.

Enters: text (arch lists, flags, names) and the tables in data/. Leaves: capabilities, targets,
toolkits, and the rule that says which code runs on which device.
"""
