"""The small project, and cells of it."""

from tests.small_project import cell, project, settings

__all__ = ["cell", "project", "settings"]
