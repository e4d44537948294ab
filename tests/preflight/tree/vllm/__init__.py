# Not read.
