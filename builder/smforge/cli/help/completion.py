"""What shells are offered as values: variants, devices, rules, formats. Loaded for them alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from smforge.arch.devices import Status, devices
from smforge.cli.command_table import COMMANDS
from smforge.cli.output import OutputType

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_MATRIX = "versions.json"
_PREFIXES = ("image:", "oci:", "archive:", "registry:", "pypi:")


def complete_commands(incomplete: str) -> list[CompletionItem]:
    """The commands, each with its sentence, without loading them."""
    return _items(COMMANDS.items(), incomplete)


def offer_values(command: click.Command) -> None:
    """Let the flags and arguments of a command offer their values."""
    for parameter in command.params:
        completion = _OF_PARAMETER.get(max(parameter.opts, key=len))
        if isinstance(parameter.type, OutputType):
            completion = _formats
        if completion is not None:
            # click takes it when a parameter is made, and completion alone needs it.
            parameter._custom_shell_complete = completion


def _items(pairs: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=text) for value, text in pairs if value.startswith(incomplete)
    ]


def _devices(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Devices by number and by name; the last of several words is completed."""
    before, space, word = incomplete.rpartition(" ")
    return [
        CompletionItem(f"{before}{space}{item.value}", help=item.help)
        for item in _items(_device_words(), word.lower())
    ]


def _device_words() -> Iterator[tuple[str, str]]:
    for one in devices():
        if one.status is Status.CURRENT:
            text = ", ".join(one.products) or one.architecture
            yield from ((word, text) for word in (str(one.capability), *one.names))


def _variants(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    named = ctx.params.get("config") or ctx.find_root().params.get("config")
    try:
        variants = json.loads(Path(named or _MATRIX).read_bytes())["variants"]
        pairs = [(name, f"CUDA {about['toolkit']}") for name, about in variants.items()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # No matrix, or none that can be read: the command will say so.
        return []
    return _items(pairs, incomplete)


def _rules(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from smforge.preflight.rules import RULES as ASKED  # noqa: PLC0415  # defers rules
    from smforge.report.text.rule_page import PAGES  # noqa: PLC0415  # defers rule_page
    from smforge.verdict.rules import RULES  # noqa: PLC0415  # defers rules

    offered = {rule.id: rule.summary for rule in (*ASKED, *RULES)} | dict(PAGES)
    return _items(offered.items(), incomplete)


def _formats(
    _ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    assert isinstance(parameter.type, OutputType)
    found = _items(((form, "") for form in parameter.type.formats), incomplete)
    return found or [CompletionItem(incomplete, type="file")]


def _platforms(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _items((("linux/amd64", "x86-64"), ("linux/arm64", "Arm")), incomplete)


def _subjects(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    found = _items(((prefix, "") for prefix in _PREFIXES), incomplete) if incomplete else []
    return found or [CompletionItem(incomplete, type="file")]


_OF_PARAMETER: dict[str, Completion] = {
    "--require": _devices,
    "--keep": _devices,
    "--for": _devices,
    "--variant": _variants,
    "variant": _variants,
    "variants": _variants,
    "--platform": _platforms,
    "rule": _rules,
    "subject": _subjects,
    "subjects": _subjects,
    "old": _subjects,
    "new": _subjects,
}
