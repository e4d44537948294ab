"""File formats: bytes to records, nothing else."""
