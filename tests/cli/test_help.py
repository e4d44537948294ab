"""The help of the group is a table, and it says what the commands say of themselves."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import smforge.cli
from smforge.cli.command_table import COMMANDS


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
