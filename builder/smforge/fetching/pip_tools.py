"""pip's finder and its session, with the site's settings.

They are internal to pip; what is used of them is confined to this package, and tests fetch for
real.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from smforge.errors import ToolError


@dataclass(frozen=True, slots=True)
class PipTools:
    """What pip's own commands work with."""

    command: Any
    options: Any
    session: Any

    def finder(self, target: Any = None) -> Any:
        """A finder of releases for a `TargetPython`; None stands for this Python."""
        return self.command._build_package_finder(
            options=self.options, session=self.session, target_python=target
        )


@contextmanager
def pip_tools(arguments: Sequence[str]) -> Iterator[PipTools]:
    """Open pip's tools as ``pip download`` with these arguments has them.

    Raises `ToolError` where pip is missing.
    """
    try:
        from pip._internal.commands import create_command  # noqa: PLC0415 - slow to load
    except ImportError as error:
        raise ToolError(
            "pip is not installed, so nothing can be fetched.",
            remedy="Install pip beside smforge, or name a file that is here.",
        ) from error
    # pip's warnings are about the site's settings; what fails is said by the errors raised.
    logging.getLogger("pip").addHandler(logging.NullHandler())
    command: Any = create_command("download")
    # What is fetched has its own place in smforge's cache, so pip keeps no second copy.
    options, _ = command.parse_args([*arguments, "--quiet", "--no-cache-dir"])
    with command.main_context():
        yield PipTools(command, options, command.get_default_session(options))
