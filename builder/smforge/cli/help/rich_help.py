"""Help as rich-click writes it, for commands that are plain click's.

rich and rich-click take longer to load than a library takes to audit; so they are loaded only for
help.
"""

from __future__ import annotations

from typing import Any

import click
from rich_click import RichCommand, RichContext, RichGroup
from rich_click.rich_panel import RichCommandPanel, RichOptionPanel, RichPanel

from smforge.cli.command_table import COMMANDS
from smforge.cli.help.option_groups import COMMAND_GROUPS, OPTION_GROUPS, UNGROUPED


def rich_help(ctx: click.Context) -> str:
    """The help of a context's command, coloured where standard output is a terminal."""
    twin = _twin(ctx)
    names = ctx.help_option_names
    return twin.get_help(
        RichContext(
            twin,
            parent=ctx.parent,
            info_name=ctx.info_name,
            help_option_names=names,
            rich_help_config={"text_paragraph_linebreaks": "\n\n"},
        )
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
        "panels": _panels(command, set(ctx.help_option_names)),
    }
    if not isinstance(command, click.Group):
        return RichCommand(**same)
    commands: dict[str, click.Command] = {
        name: RichCommand(name=name, help=line) for name, line in COMMANDS.items()
    }
    return _Group(**same, commands=commands)


def _panels(command: click.Command, help_names: set[str]) -> list[RichPanel[Any, Any]]:
    """The panels of a command's flags, in their order; those in no group come first."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    names = [set(one.opts) for one in options] + [help_names]
    grouped = {name for group in OPTION_GROUPS.values() for name in group}
    found: dict[str, list[str]] = {
        UNGROUPED: [max(one, key=len) for one in names if grouped.isdisjoint(one)]
    }
    for title, group in OPTION_GROUPS.items():
        found[title] = [name for name in group if any(name in one for one in names)]
    panels: list[RichPanel[Any, Any]] = [
        RichOptionPanel(title, options=members) for title, members in found.items() if members
    ]
    if isinstance(command, click.Group):
        panels += [
            RichCommandPanel(title, commands=[name for name in members if name in COMMANDS])
            for title, members in COMMAND_GROUPS.items()
        ]
    return panels
