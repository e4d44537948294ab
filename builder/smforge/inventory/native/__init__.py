"""The reader of this project: finds GPU code in a file and describes every code object of it."""
