"""Measures pages that ``smforge … -o html=FILE`` wrote: their size, and when they are drawn.

    python -m benchmarks.pages PAGE... [--rounds 5]

Each page is opened anew in headless Chromium, the pages in turn. The time is that of the first
contentful paint, which is also the last: the page is drawn at once.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_PAINTED = """new Promise(tell => new PerformanceObserver((found) => {
  for (const one of found.getEntriesByName("first-contentful-paint")) tell(one.startTime);
}).observe({type: "paint", buffered: true}))"""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description="See above.")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("No chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times: dict[Path, list[float]] = {page: [] for page in given.pages}
        first_paint(browser, given.pages[0])  # The first page of a browser waits for its fonts.
        for _ in range(given.rounds):
            for page in given.pages:
                times[page].append(first_paint(browser, page))
        browser.close()
    for page, seconds in times.items():
        size = page.stat().st_size
        middle, worst = statistics.median(seconds), max(seconds)
        sys.stdout.write(f"{page.name}  {size / 1000:.0f} kB  {middle:.2f} s (most {worst:.2f})\n")


def first_paint(browser: Browser, page: Path) -> float:
    """Seconds from the start of loading a page to its first contentful paint."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    window = context.new_page()
    window.goto(page.absolute().as_uri())
    painted: float = window.evaluate(_PAINTED)
    context.close()
    return painted / 1000


if __name__ == "__main__":
    main(sys.argv[1:])
