"""The price of a plan before it is built: units, CPU time, wall time, bytes."""
