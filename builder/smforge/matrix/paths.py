"""JSON paths as error messages show them: ``$.variants.cu130.components.flashinfer``."""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[A-Za-z_$][\w$-]*\Z")

Step = str | int
Path = tuple[Step, ...]


def render(path: Path) -> str:
    """The path from the document's root: keys that are not plain words are in brackets."""
    return "$" + "".join(_step(step) for step in path)


def _step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.match(step) else f"[{json.dumps(step)}]"
