"""The help of the group is a table, and it says what the commands say of themselves."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import smforge.cli
from smforge.cli.command_table import COMMANDS
from smforge.cli.help.option_groups import COMMAND_GROUPS, OPTION_GROUPS


def test_every_command_is_in_the_table() -> None:
    files = (Path(smforge.cli.__file__).parent / "commands").glob("*.py")
    assert {file.stem for file in files} - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_first_sentence_of_each_help(name: str) -> None:
    command = importlib.import_module(f"smforge.cli.commands.{name}").command
    assert command.name == name
    paragraph = " ".join(command.help.partition("\n\n")[0].split())
    assert paragraph.startswith(COMMANDS[name])
    assert COMMANDS[name].endswith(".")


def test_the_help_of_the_group_imports_no_command() -> None:
    program = (
        "import sys\n"
        "from smforge.cli.main import group\n"
        "group.main(['--help'], standalone_mode=False)\n"
        "print([n for n in sys.modules if n.startswith('smforge.cli.commands.')])\n"
    )
    command = (sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *help_text, imported = done.stdout.splitlines()
    assert imported == "[]"
    for name, line in COMMANDS.items():
        assert any(name in text and line.split(" ")[0] in text for text in help_text)


def examples(name: str) -> list[str]:
    command = importlib.import_module(f"smforge.cli.commands.{name}").command
    lines = [line.strip() for line in command.help.partition("\b")[2].splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_examples_that_the_command_understands(name: str) -> None:
    command = importlib.import_module(f"smforge.cli.commands.{name}").command
    assert examples(name)
    for line in examples(name):
        program, called, *arguments = shlex.split(line.partition(" && ")[0])
        assert (program, called) == ("smforge", name)
        assert command.make_context(name, arguments).params


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_flag_once_and_in_its_group(name: str) -> None:
    shown = help_of(name)
    panels: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if line.startswith("╭─ "):
            title = line.strip("╭─╮ ")
        elif line.startswith("│") and (flags := re.findall(r"^│[ *]+(--[a-z-]+)", line)):
            panels.setdefault(title, []).extend(flags)
    assert "General" in panels
    together = [flag for flags in panels.values() for flag in flags]
    assert len(together) == len(set(together))
    for title, group in OPTION_GROUPS.items():
        assert set(panels.get(title, [])) == set(group) & set(together)
    for option in importlib.import_module(f"smforge.cli.commands.{name}").command.params:
        assert not isinstance(option, click.Option) or set(option.opts) & set(together)


def test_a_command_is_in_one_group() -> None:
    grouped = [name for members in COMMAND_GROUPS.values() for name in members]
    assert len(grouped) == len(set(grouped))
    assert set(COMMANDS) <= set(grouped)


def help_of(*words: str) -> str:
    command = (sys.executable, "-m", "smforge", *words, "--help")
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["audti"], "'audit'"),
        (["raport"], "'report'"),
        (["audit", "--requires", "12.1", "x"], "'--require'"),
        (["devices", "-o", "jsn"], "json"),
    ],
)
def test_what_is_mistyped_gets_a_suggestion(words: list[str], meant: str) -> None:
    command = (sys.executable, "-m", "smforge", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = done.stderr.partition("Did you mean")[2]
    assert meant in said
