"""``smforge completion``: what a shell reads to complete commands, flags and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from smforge.cli.output import print_result

_VARIABLE = "_SMFORGE_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print what lets a shell complete commands, flags, variants, devices and rules.

    Read it in the file that the shell reads when it starts: ~/.bashrc (bash 4.4 or newer),
    ~/.zshrc, or ~/.config/fish/completions/smforge.fish.

    \b
    smforge completion bash
    smforge completion zsh
    smforge completion fish
    """
    found = get_completion_class(shell)
    assert found is not None
    print_result(found(ctx.find_root().command, {}, "smforge", _VARIABLE).source())
    return 0
