"""What a list loses, found by comparing configurations."""
