"""The version of smforge, which reports and records state."""

__version__ = "0.1.0"
