"""Building one cell, step by step."""
