"""Takes a new release into a matrix: its files, its pins, and what a device would lose by it."""
