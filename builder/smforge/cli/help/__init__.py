"""Help: how it is drawn, and in which groups flags and commands stand."""
