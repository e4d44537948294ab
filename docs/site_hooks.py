"""What the site needs beside the pages of this folder.

Pages link to files of the checkout. Data and schemas are copied into the site under ``files/``,
the pages at the top of the checkout under ``project/``; a link to a folder becomes plain text.
The reference of commands is written from the commands, the list of schemas from their titles.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from mkdocs.structure.files import File

from smforge.cli.command_table import COMMANDS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

TOP = Path(__file__).resolve().parent.parent
PROJECT_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#:]+)(?P<anchor>#[^)]*)?\)")
_WIDTH = 92
"""Columns of the commands' help: what fits beside the menu."""
_DATA = (".json", ".toml", ".yml", ".png", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, the pages of the project, and every file that a page links to."""
    files.append(File.generated(config, "reference/commands.md", content=_commands()))
    files.append(File.generated(config, "reference/schemas.md", content=_schemas()))
    for name in PROJECT_PAGES:
        files.append(File.generated(config, f"project/{name}", content=_read(TOP / name)))
    linked = {path for page in _pages() for path in _linked(page)}
    for path in sorted(linked | set(_schema_files())):
        place = path.relative_to(TOP).as_posix()
        files.append(File.generated(config, f"files/{place}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point the links of a page at the places that its targets have in the site."""
    name = page.file.src_uri
    if name.startswith("reference/"):
        return markdown
    folder = TOP if name.startswith("project/") else TOP / "docs"
    up = "../" if name.startswith("project/") else ""

    def pointed(match: re.Match[str]) -> str:
        target = (folder / match["path"]).resolve()
        where = _place(target)
        if where is None:
            return f"{match['text']} (`{target.relative_to(TOP).as_posix()}`)"
        return f"{match['image']}[{match['text']}]({up}{where}{match['anchor'] or ''})"

    return _LINK.sub(pointed, markdown)


def _place(target: Path) -> str | None:
    """Where a file of the checkout is in the site; None for folders and programs."""
    if target.parent == TOP / "docs" and target.suffix == ".md":
        return target.name
    if target.parent == TOP and target.name in PROJECT_PAGES:
        return f"project/{target.name}"
    if target.is_relative_to(TOP / "docs") and target.suffix in {".png", ".svg"}:
        return target.relative_to(TOP / "docs").as_posix()
    if target.is_file() and target.suffix in _DATA:
        return f"files/{target.relative_to(TOP).as_posix()}"
    # A page that is not there stays a link: the strict build then names it.
    return None if target.exists() else target.name


def _pages() -> list[Path]:
    return [*sorted((TOP / "docs").glob("*.md")), *(TOP / name for name in PROJECT_PAGES)]


def _linked(page: Path) -> set[Path]:
    found = set()
    for match in _LINK.finditer(_read(page)):
        target = (page.parent / match["path"]).resolve()
        if (_place(target) or "").startswith("files/"):
            found.add(target)
    return found


def _commands() -> str:
    parts = ["# Commands\n"]
    for name, about in COMMANDS.items():
        command = importlib.import_module(f"smforge.cli.commands.{name}").command
        context = click.Context(command, info_name=f"smforge {name}")
        # click's own formatter: what is written for a terminal has colours and frames.
        formatter = click.HelpFormatter(width=_WIDTH)
        click.Command.format_usage(command, context, formatter)
        click.Command.format_options(command, context, formatter)
        parts.append(f"## smforge {name}\n\n{about}\n\n```text\n{formatter.getvalue()}```\n")
    return "\n".join(parts)


def _schemas() -> str:
    rows = ["# Schemas\n", "| file | what it describes |", "|---|---|"]
    for path in _schema_files():
        schema = json.loads(_read(path))
        place = f"../files/{path.relative_to(TOP).as_posix()}"
        about = str(schema.get("description") or schema.get("title") or "").split("\n", 1)[0]
        rows.append(f"| [{path.name}]({place}) | {about} |")
    return "\n".join(rows) + "\n"


def _schema_files() -> list[Path]:
    return sorted((TOP / "builder").rglob("*.schema.json"))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
