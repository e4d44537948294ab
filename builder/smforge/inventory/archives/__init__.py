"""Archives: zip, tar, ar and what compresses them. Bytes to members, nothing else."""
