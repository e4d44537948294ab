"""What rich prints, as text."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def text_of(renderable: RenderableType, *, width: int, color: bool) -> str:
    """`renderable` in at most `width` columns; escape codes are in it only with `color`."""
    return printed(lambda console: console.print(renderable), width=width, color=color)


def printed(write: Callable[[Console], None], *, width: int, color: bool) -> str:
    """What `write` prints to a console of `width` columns, without a newline at its end.

    Names come from foreign files: nothing in them is read as markup or as an emoji's name.
    """
    from rich.console import Console  # noqa: PLC0415  # defers rich

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    write(console)
    # rich pads every cell of a column to its width.
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
