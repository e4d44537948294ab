"""The exit code that follows from a verdict, and what ``--fail-on`` changes about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from smforge.cli.complaints import complain
from smforge.errors import (
    EXIT_FINDINGS,
    EXIT_NOTHING,
    EXIT_OF_VERDICT,
    EXIT_PASS,
    EXIT_UNDETERMINED,
)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_WORST_FIRST = (EXIT_FINDINGS, EXIT_UNDETERMINED, EXIT_NOTHING, EXIT_PASS)
ERROR, WARNING, NEVER = "error", "warning", "never"


def fail_on_option(choices: Sequence[str] = (ERROR, WARNING, NEVER)) -> Callable[[Any], Any]:
    """``--fail-on LEVEL``, for what a command can tell apart."""
    return click.option(
        "--fail-on",
        type=click.Choice(choices),
        default=ERROR,
        show_default=True,
        help="The lightest findings that make exit code 1. It changes no other exit code: 3 and 4 "
        "stay.",
    )


def worst(codes: Iterable[int]) -> int:
    """The exit code of several subjects: a certain failure decides, then an answer not known."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), max(found))


def exit_code(subject: str, verdict: str, levels: Iterable[str], fail_on: str) -> int:
    """The exit code of a verdict whose findings have these levels.

    Only exit code 1 depends on `fail_on`. Where the code and the verdict differ, a line on standard
    error says so: the verdict in the report does not change.
    """
    code = EXIT_OF_VERDICT[verdict]
    if code == EXIT_FINDINGS and fail_on == NEVER:
        complain(f"{subject}: the verdict is {verdict}. --fail-on never: it makes no exit code 1.")
        return EXIT_PASS
    if code == EXIT_PASS and fail_on == WARNING:
        warnings = sum(level == WARNING for level in levels)
        if warnings:
            number = "1 warning makes" if warnings == 1 else f"{warnings} warnings make"
            complain(
                f"{subject}: the verdict is {verdict}. --fail-on warning: {number} exit code 1."
            )
            return EXIT_FINDINGS
    return code
