"""The commands for runs on several machines."""
