"""Runs a generator's script, with each of its templates compiled once.

    python remembered.py SCRIPT ARGUMENTS…

Upstream's generators write ``jinja2.Template(TEXT).render(…)`` in a loop: vLLM's Marlin compiles
two texts 1,752 times, which is nine tenths of its time. A template says the same however often it
is rendered, so one of each text serves.
"""

import runpy
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

_TEXTS = 1024
"""Templates kept; FlashInfer's generators have about 430."""


def remember_templates() -> None:
    """Let ``jinja2.Template`` give back what it made of the same text; without jinja2, nothing."""
    try:
        import jinja2  # noqa: PLC0415 - the generator says it better than this would
    except ImportError:
        return
    make: Any = jinja2.Template.__new__
    kept = lru_cache(maxsize=_TEXTS)(make)

    def remembered(kind: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return kept(kind, *arguments, **named)
        except TypeError:  # an option that cannot be a key
            return make(kind, *arguments, **named)

    template: Any = jinja2.Template
    template.__new__ = remembered


def main(script: str, arguments: list[str]) -> None:
    remember_templates()
    sys.argv = [script, *arguments]
    # As for a script that Python is started with.
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
