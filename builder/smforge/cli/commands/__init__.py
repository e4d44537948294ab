"""The commands, one module each: what is parsed, called and rendered."""
