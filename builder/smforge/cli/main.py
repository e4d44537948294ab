"""The command group, the shared flags, and the one place where errors become exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smforge.cli.command_table import COMMANDS
from smforge.cli.complaints import complain
from smforge.cli.settings import Settings, nearest_settings, told
from smforge.errors import EXIT_UNDETERMINED, SmforgeError
from smforge.files import unwritten
from smforge.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SIGINT_EXIT = 130
_SETTINGS = "smforge settings"
"""Where a context keeps them."""
_ALLOCATIONS = 50_000
"""Objects made between two searches for cycles: modules and records make none, and searching them
again and again takes a twentieth of an audit's time."""


class Context(click.Context):
    """A context whose help is rich-click's, loaded only when help is printed."""

    def get_help(self) -> str:
        from smforge.cli.help.rich_help import rich_help  # noqa: PLC0415  # defers rich_click

        return rich_help(self)

    def invoke(self, callback: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run the command. What it was told by variables and files is said before."""
        if self.parent is not None and not self.find_root().obj["quiet"]:
            settings = told(self, self.meta[_SETTINGS])
            if settings:
                complain(f"{settings}.")
        return super().invoke(callback, *args, **kwargs)


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    context_class = Context

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        settings = Settings()
        # A shell asks for completion when it starts, in whatever folder that is.
        if not extra.get("resilient_parsing") and args[:1] != ["completion"]:
            settings = nearest_settings()
            extra["default_map"] = settings.of_group(self, COMMANDS)
        ctx = super().make_context(info_name, args, parent, **extra)
        ctx.meta[_SETTINGS] = settings
        return ctx

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # click knows the names of commands that are loaded alone.
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from smforge.cli.help.completion import complete_commands  # noqa: PLC0415  # defers completion

        return [
            *complete_commands(incomplete),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def get_command(
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"smforge.cli.commands.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is not a click command")
        command.context_class = Context
        _accept_shared_flags(command)
        if not ctx.resilient_parsing:
            said = ctx.meta[_SETTINGS].of_command(command)
            ctx.default_map = {**(ctx.default_map or {}), cmd_name: said}
        else:
            from smforge.cli.help.completion import offer_values  # noqa: PLC0415  # defers completion

            offer_values(command)
        return command


def _accept_shared_flags(command: click.Command) -> None:
    """Let --quiet and --verbose stand after the command's name too."""
    taken = {name for parameter in command.params for name in parameter.opts}
    for option in (_QUIET, _VERBOSE):
        if taken.isdisjoint(option.opts):
            command.params.append(option)


def _set_shared_flag(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and parameter.name is not None:
        ctx.find_root().obj[parameter.name] = True


_QUIET = click.Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    callback=_set_shared_flag,
    help="No progress on stderr.",
)
_VERBOSE = click.Option(
    ["-v", "--verbose"],
    is_flag=True,
    expose_value=False,
    callback=_set_shared_flag,
    help="Show what runs, and tracebacks.",
)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smforge")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The matrix to read.  [default: versions.json]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Show what runs, and tracebacks.")
@click.pass_context
def group(ctx: click.Context, config: Path | None, quiet: bool, verbose: bool) -> None:
    """Build CUDA wheels and images per architecture, and prove what is inside them.

    Flags can also be set in pyproject.toml and in variables: smforge explain settings.

    \b
    smforge audit vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl --require spark
    smforge diff last-release.json new.whl
    smforge init release && cd release && smforge build
    smforge explain kernels-missing
    """
    ctx.obj = {"config": config, "quiet": quiet, "verbose": verbose}


def run(argv: list[str] | None = None) -> None:
    """Run the command line and exit the process with its code."""
    gc.set_threshold(_ALLOCATIONS)
    arguments = sys.argv[1:] if argv is None else argv
    code = _exit_code(arguments)
    # Python searches everything once more when it exits, which takes up to a tenth of a second.
    gc.freeze()
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        result: Any = group.main(args=arguments, prog_name="smforge", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption) and error.possibilities:
            from difflib import get_close_matches  # noqa: PLC0415  # defers difflib

            # click offers several in the order of the alphabet: --quiet before --require.
            near = get_close_matches(error.option_name, error.possibilities, n=1)
            error = click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx)
        error.show()
        return error.exit_code
    except SmforgeError as error:
        if verbose:
            raise
        for line in error.lines:
            complain(line)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain("Interrupted.")
        return SIGINT_EXIT
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe: it needs no more output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNDETERMINED
    except Exception as error:
        if verbose:
            raise
        return _complain_of(error)
    return result if isinstance(result, int) else 0


def _complain_of(error: Exception) -> int:
    """Say what no part of smforge has turned into a sentence; the result is the exit code."""
    if isinstance(error, OSError) and (known := unwritten(error)) is not None:
        complain(str(known))
        return known.exit_code
    complain(
        f"Something in smforge went wrong that it does not know ({type(error).__name__}: "
        f"{error}). Nothing was decided. Run it again with --verbose and report what it shows."
    )
    return EXIT_UNDETERMINED
