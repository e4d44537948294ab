"""The ways in which tools write architectures.

Input: the text of one tool. Output: typed entries; and back, `parse(render(x)) == x`. A module
reads what its tool reads and refuses what its tool refuses. What is known to no tool at all is
refused by `smforge.arch.toolkits`, because that depends on the toolkit.
"""
