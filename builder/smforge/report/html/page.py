"""Writes a page as one HTML file that needs no network.

Kernel and file names are stored as JSON, in which every character that could end the script
element or start a comment is escaped, and the script of the page puts them on the screen as text.
What is shown without a script is escaped text (`smforge.report.html.plain`). A content security
policy allows the page's own style and script, by their hashes, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from smforge.report.html.matrix import Page
from smforge.report.html.plain import markup, plain_page

_SCRIPTS = ("elements.js", "header.js", "matrix.js", "panel.js", "address.js")
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def render_page(page: Page) -> str:
    """Return the page as HTML, in ASCII alone."""
    style, script = _data("page.css"), _script()
    return Template(_data("page.html")).substitute(
        policy=_policy(style, script),
        title=markup(f"{page.tabs[0].title} - smforge {page.report}"),
        report=page.report,
        style=style,
        script=script,
        plain=plain_page(page),
        data=json_for_script(page),
    )


def json_for_script(page: Page) -> str:
    """Return the page's data as JSON that is inert within a script element."""
    text = json.dumps(asdict(page, dict_factory=_without_blanks), separators=(",", ":"))
    return text.translate(_ESCAPES)


def _without_blanks(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Leave out empty values; the script treats missing values as empty."""
    return {key: value for key, value in pairs if value not in (None, 0, "", ())}


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _script() -> str:
    """The parts of the script in one scope of their own."""
    return f'"use strict";\n(() => {{\n{"".join(map(_data, _SCRIPTS))}}})();\n'


@cache
def _data(name: str) -> str:
    return (files("smforge.report.html") / "data" / name).read_text(encoding="utf-8")
