"""Values of flags that come from variables and from pyproject.toml (docs/settings.md).

A flag that is given wins over a variable, and a variable over the file. ``[tool.smforge]`` has the
flags that may stand before a command (config, quiet, verbose), ``[tool.smforge.audit]`` those of
``smforge audit``; the variables are SMFORGE_CONFIG and SMFORGE_AUDIT_REQUIRE in the same way. What
no flag bears the name of is an error: a gate must not lose its requirements to a typing mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from smforge.errors import ConfigurationError

_FILE = "pyproject.toml"
_MOST_BYTES = 1 << 24
_MAY_HOLD = re.compile(rb"^[ \t\[]*(?:tool[ \t]*\.[ \t]*)?[\"']?smforge\b", re.MULTILINE)
"""What a file with ``[tool.smforge]`` has; others are not parsed."""
_NOT_IN_FILES = frozenset({"probe", "probe-python", "ptxas"})
"""Flags that run programs: a file of a folder that somebody made must not start them."""
_HERE = ("help", "version")


@dataclass(frozen=True, slots=True)
class Settings:
    """The table of the nearest pyproject.toml that has one; empty if there is none."""

    file: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)

    def of_group(self, group: click.Command, commands: Collection[str]) -> dict[str, Any]:
        """Read what stands before commands, and set the variables of the group's flags."""
        flags = _flags(group)
        for key, value in self.table.items():
            if isinstance(value, dict) and key not in commands:
                raise self._unknown("table", key, commands)
            if not isinstance(value, dict) and key not in flags:
                raise self._misplaced(key, flags)
        _name_variables("SMFORGE", flags)
        plain = {key: value for key, value in self.table.items() if not isinstance(value, dict)}
        return self._read(plain, flags, "tool.smforge")

    def of_command(self, command: click.Command) -> dict[str, Any]:
        """Read what the file says for a command, and set the variables of the command's flags."""
        flags = _flags(command)
        # What may stand before the command has one variable, whatever the command is.
        for name in ("config", "quiet", "verbose"):
            flags.pop(name, None)
        prefix = f"SMFORGE_{(command.name or '').upper()}"
        _name_variables(prefix, flags)
        known = {_variable(prefix, name) for name in flags}
        for variable in os.environ:
            if variable.startswith(f"{prefix}_") and variable not in known:
                raise ConfigurationError(
                    f"{variable} belongs to no flag of smforge {command.name}.",
                    remedy=_suggestion(variable, known),
                )
        table = self.table.get(command.name or "", {})
        where = f"tool.smforge.{command.name}"
        for key in table:
            if key not in flags:
                raise self._unknown("key", key, flags, where=where)
            if key in _NOT_IN_FILES:
                raise ConfigurationError(
                    f"{self.file}: {where}.{key} would run a program.",
                    remedy=f"Give --{key} on the command line.",
                )
        return self._read(table, flags, where)

    def _read(
        self, table: Mapping[str, Any], flags: Mapping[str, click.Option], where: str
    ) -> dict[str, Any]:
        """Parameter names and values, as click's default_map has them."""
        return {
            str(flags[key].name): self._value(value, flags[key], f"{where}.{key}")
            for key, value in table.items()
        }

    def _value(self, value: Any, option: click.Option, where: str) -> Any:
        if option.is_flag:
            if isinstance(value, bool):
                return value
            raise ConfigurationError(f"{self.file}: {where} must be true or false.")
        several = value if isinstance(value, list) else [value]
        if isinstance(value, list) and not option.multiple:
            raise ConfigurationError(f"{self.file}: {where} takes one value, not a list.")
        if not all(isinstance(one, str | int | float) for one in several) or any(
            isinstance(one, bool) or one == "" for one in several
        ):
            wanted = "a text or a list of texts" if option.multiple else "a text or a number"
            raise ConfigurationError(f"{self.file}: {where} must be {wanted}, and not empty.")
        found = [self._placed(str(one), option) for one in several]
        return found if option.multiple else found[0]

    def _placed(self, text: str, option: click.Option) -> str:
        """Paths are meant from the folder of the file."""
        assert self.file is not None
        return str(self.file.parent / text) if isinstance(option.type, click.Path) else text

    def _misplaced(self, key: str, known: Collection[str]) -> ConfigurationError:
        from smforge.cli.help.option_groups import OPTION_GROUPS  # noqa: PLC0415  # defers option_groups

        if any(f"--{key}" in group for group in OPTION_GROUPS.values()):
            return ConfigurationError(
                f"{self.file}: [tool.smforge] has {key!r}, which is a flag of single commands.",
                remedy="Write it in the table of its command, such as [tool.smforge.audit].",
            )
        return self._unknown("key", key, known)

    def _unknown(
        self,
        what: str,
        key: str,
        known: Collection[str],
        where: str = "tool.smforge",
    ) -> ConfigurationError:
        return ConfigurationError(
            f"{self.file}: [{where}] has the {what} {key!r}, which smforge does not know.",
            remedy=_suggestion(key, known),
        )


def nearest_settings() -> Settings:
    """Read the nearest pyproject.toml, from here upwards, that has a table for smforge.

    Raises `ConfigurationError` for one that is not valid.
    """
    try:
        folder = Path.cwd()
    except OSError:  # The working folder was removed.
        return Settings()
    for one in (folder, *folder.parents):
        file = one / _FILE
        try:
            data = file.read_bytes() if file.is_file() else b""
        except OSError:
            continue
        if _MAY_HOLD.search(data) and (table := _table(file, data)) is not None:
            return Settings(file, table)
    return Settings()


def _table(file: Path, data: bytes) -> dict[str, Any] | None:
    import tomllib  # noqa: PLC0415  # defers tomllib

    try:
        table = tomllib.loads(data.decode("utf-8")).get("tool", {}).get("smforge")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise ConfigurationError(f"{file} is no valid TOML: {error}.") from error
    if table is not None and not isinstance(table, dict):
        raise ConfigurationError(f"{file}: tool.smforge must be a table.")
    return table


def told(ctx: click.Context, settings: Settings) -> str:
    """Say which values did not come from the command line; empty if there are none."""
    found: dict[str, list[str]] = {}
    for one in (ctx, *([ctx.parent] if ctx.parent else [])):
        for name, option in _flags(one.command).items():
            source = one.get_parameter_source(option.name or "")
            if source is ParameterSource.ENVIRONMENT:
                found.setdefault(_first_set(option), []).append(f"--{name}")
            elif source is ParameterSource.DEFAULT_MAP:
                found.setdefault(str(settings.file), []).append(f"--{name}")
    return "; ".join(f"{', '.join(names)} from {origin}" for origin, names in found.items())


def _flags(command: click.Command) -> dict[str, click.Option]:
    """The flags of a command by their long names."""
    return {
        max(one.opts, key=len).removeprefix("--"): one
        for one in command.params
        if isinstance(one, click.Option) and one.name not in _HERE
    }


def _name_variables(prefix: str, flags: Mapping[str, click.Option]) -> None:
    for name, option in flags.items():
        variable = _variable(prefix, name)
        if os.environ.get(variable) == "":
            raise ConfigurationError(
                f"{variable} is set and empty.", remedy="Unset it, or give it a value."
            )
        # Another variable that a flag has by custom (BUILDX_BUILDER) comes after smforge's own.
        declared = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
        option.envvar = [variable, *(one for one in declared if one != variable)]


def _first_set(option: click.Option) -> str:
    """The variable that an option has its value from."""
    return next(one for one in option.envvar or () if os.environ.get(one))


def _variable(prefix: str, flag: str) -> str:
    return f"{prefix}_{flag.replace('-', '_').upper()}"


def _suggestion(word: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # defers difflib

    near = get_close_matches(word, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."
