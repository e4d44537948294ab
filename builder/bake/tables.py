"""Rich's renderables as text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


def text_of(renderable: RenderableType, *, width: int, color: bool) -> str:
    """`renderable` in at most `width` columns; escape codes are in it only with `color`."""
    from rich.console import Console  # noqa: PLC0415  # slow to import

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
