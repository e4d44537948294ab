"""Container images as one stream of files.

Enters: an image's manifest, configuration and layers, wherever they are stored. Leaves: the regular
files of the layers in any order, and which of them the final file system shows, and where.
"""
