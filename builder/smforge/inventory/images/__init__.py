"""Container images as one stream of files.

Input: an image's manifest, configuration and layers, wherever they are stored. Output: the regular
files of the layers in any order, and which of them the final file system shows, and where.
"""
