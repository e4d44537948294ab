"""Makes the pictures of the documentation from a real audit: the page, and the table of a terminal.

    python -m benchmarks.pictures WHEEL --require "11.0 12.1" --name audit
    python -m benchmarks.pictures WHEEL --name devices

The audit is one run of ``smforge audit``, of whatever the command line may name. Its page is
photographed in headless Chromium (NAME.webp), and its table is drawn as a terminal shows it
(NAME.svg). Chromium is Debian's; Playwright is among the requirements of the
development.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from smforge.report.saved import report_from_json
from smforge.report.table import render_table

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES = 150_000
"""Of a picture: it is part of every clone."""
_FONTS_OF_THE_NETWORK = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main(arguments: Sequence[str]) -> None:
    given = _parse(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    require = ["--require", given.require] if given.require else []
    with tempfile.TemporaryDirectory() as scratch:
        page, saved = Path(scratch) / "page.html", Path(scratch) / "audit.json"
        command = [sys.executable, "-m", "smforge", "audit", given.subject, *require]
        subprocess.run(
            [*command, "--quiet", "-o", f"html={page}", "-o", f"json={saved}"], check=False
        )
        report = report_from_json(saved.read_bytes())
        photograph(page, given.folder / f"{given.name}.webp", given.scheme, given.height)
    asked = f' --require "{given.require}"' if given.require else ""
    typed = f"smforge audit {Path(given.subject).name}{asked}"
    table = render_table(report, width=given.width, color=True)
    drawn = terminal(typed, table.splitlines(), given.width, given.lines)
    (given.folder / f"{given.name}.svg").write_text(drawn, encoding="utf-8")
    for picture in sorted(given.folder.glob(f"{given.name}.*")):
        size = picture.stat().st_size
        sys.stdout.write(f"{picture}  {size:,} bytes\n")
        if size > MOST_BYTES:
            sys.exit(f"{picture} has more than {MOST_BYTES:,} bytes: choose less height or lines.")


def photograph(page: Path, picture: Path, scheme: Literal["light", "dark"], height: int) -> None:
    """Write what a window 1,280 pixels wide shows of the page at first."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("No chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        size: ViewportSize = {"width": 1280, "height": height}
        window = browser.new_page(viewport=size, color_scheme=scheme)
        window.goto(page.absolute().as_uri())
        # Playwright itself writes PNG, twice the size, or JPEG, whose text is blurred.
        chrome = window.context.new_cdp_session(window)
        taken = chrome.send("Page.captureScreenshot", {"format": "webp", "quality": 88})
        picture.write_bytes(base64.b64decode(taken["data"]))
        browser.close()


def terminal(typed: str, lines: Sequence[str], width: int, most: int) -> str:
    """Draw a command and the first lines of what it prints, as SVG that needs no network."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text(f"$ {typed}", style="bold"), soft_wrap=True)
    for line in lines[:most]:
        console.print(Text.from_ansi(line), soft_wrap=True)
    if len(lines) > most:
        console.print(Text(f"[… {len(lines) - most} more lines]", style="dim"))
    drawn = console.export_svg(title="smforge", theme=MONOKAI, unique_id="terminal")
    return _FONTS_OF_THE_NETWORK.sub("", drawn)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description="See above.")
    parser.add_argument("subject", help="as smforge audit takes it: a wheel, a folder, pypi:…")
    parser.add_argument("--require", default="", help="devices and targets, as for the audit")
    parser.add_argument("--name", default="audit", help="the first part of the files' names")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--width", type=int, default=100, help="columns of the terminal")
    parser.add_argument("--lines", type=int, default=36, help="lines of the terminal")
    parser.add_argument("--height", type=int, default=900, help="pixels of the page")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
