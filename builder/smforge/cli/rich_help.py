"""Help as rich-click writes it, for commands that are plain click's.

rich and rich-click take longer to load than a library takes to audit; so they are loaded only for
help.
"""

from __future__ import annotations

from typing import Any

import click
from rich_click import RichCommand, RichContext, RichGroup

from smforge.cli.command_table import COMMANDS


def rich_help(ctx: click.Context) -> str:
    """The help of a context's command, coloured where standard output is a terminal."""
    twin = _twin(ctx)
    names = ctx.help_option_names
    return twin.get_help(
        RichContext(twin, parent=ctx.parent, info_name=ctx.info_name, help_option_names=names)
    )


class _Group(RichGroup):
    """A group whose commands stand in the order in which they were given."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


def _twin(ctx: click.Context) -> RichCommand:
    """The same command as one of rich-click's."""
    command = ctx.command
    same: dict[str, Any] = {
        "name": command.name,
        "params": command.params,
        "help": command.help,
        "context_settings": command.context_settings,
    }
    if not isinstance(command, click.Group):
        return RichCommand(**same)
    commands: dict[str, click.Command] = {
        name: RichCommand(name=name, help=line) for name, line in COMMANDS.items()
    }
    return _Group(**same, commands=commands)
