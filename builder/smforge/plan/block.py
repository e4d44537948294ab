"""The `variable` block of versions.json: what a bare `docker buildx bake` builds.

`docker buildx bake -f docker-bake.hcl -f versions.json` does not know variants, so the block
repeats what the default variant resolves to. `python -m smforge.plan.defaults` rewrites it after a
change; a matrix with another block is refused.
"""

from __future__ import annotations

import json
import re

from smforge.errors import ConfigurationError
from smforge.matrix.load import Matrix

_BLOCK = re.compile(r'^  "variable": \{.*?^  \}', re.MULTILINE | re.DOTALL)


def check_block(matrix: Matrix, variables: dict[str, str]) -> None:
    """Raise `ConfigurationError` if there is a block with other values than `variables`."""
    block = {name: variable.default for name, variable in matrix.document.variable.items()}
    if not block or block == variables:
        return
    name = next(key for key in (*variables, *block) if block.get(key) != variables.get(key))
    raise ConfigurationError(
        f"{matrix.path}: $.variable.{name}: {_said(block.get(name))} is there, but the "
        f"default variant {matrix.document.default} has {_said(variables.get(name))}.",
        remedy="Run python -m smforge.plan.defaults.",
    )


def render_block(variables: dict[str, str]) -> str:
    """The block as versions.json has it: one variable per line."""
    lines = [
        f"    {json.dumps(name)}: {json.dumps({'default': value})}"
        for name, value in variables.items()
    ]
    return '  "variable": {\n' + ",\n".join(lines) + "\n  }"


def renew_block(text: str, variables: dict[str, str]) -> str:
    """The text of a matrix file with a new block; the rest is unchanged.

    Raises `ConfigurationError` where there is a block that is not laid out as expected.
    """
    block = render_block(variables)
    renewed, found = _BLOCK.subn(lambda _: block, text, count=1)
    if not found and "variable" in json.loads(text):
        raise ConfigurationError(
            "The block `variable` is not indented by two spaces, so it is not found.",
            remedy="Indent the matrix by two spaces (python -m json.tool --indent 2).",
        )
    return renewed


def _said(value: str | None) -> str:
    return "nothing" if value is None else repr(value)
