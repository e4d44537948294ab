"""The matrix that a new project starts with: some variants of the one that comes with smforge."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from smforge.errors import UsageError
from smforge.matrix.lookup import closest

SCHEMA_NAME = "versions.schema.json"
"""The file beside the new matrix that editors check it with."""
_VARIANTS = re.compile(r'^  "variants": \{\n(?P<all>.*?)\n  \}', re.MULTILINE | re.DOTALL)
_VARIANT = re.compile(r'^    "(?P<name>[a-z0-9-]+)": \{.*?^    \}', re.MULTILINE | re.DOTALL)


def starter(text: str, names: Sequence[str] = ()) -> str:
    """The text of a matrix with these variants alone, the first of them the default.

    Without names it has the default variant. Toolkits and sources stay, so that a variant that is
    added later finds them; the `variable` block is that of the old default, and
    `smforge.plan.defaults.renew` writes the new one. Raises `UsageError` for a variant that is not
    there.
    """
    document = json.loads(text)
    chosen = tuple(dict.fromkeys(names or (document["default"],)))
    for name in chosen:
        if name not in document["variants"]:
            raise UsageError(
                f"There is no variant {name!r} to start with.",
                remedy=closest(name, document["variants"]),
            )
    found = _VARIANTS.search(text)
    if found is None:
        raise ValueError("the shipped matrix is not laid out as its tests say")
    parts = {one["name"]: one[0] for one in _VARIANT.finditer(found["all"])}
    block = ",\n".join(parts[name] for name in chosen)
    text = f'{text[: found.start()]}  "variants": {{\n{block}\n  }}{text[found.end() :]}'
    text = _with(text, "default", chosen[0])
    return _with(text, "$schema", SCHEMA_NAME)


def _with(text: str, key: str, value: str) -> str:
    """The text with another value of a key at the top."""
    pattern = re.compile(rf'^  {re.escape(json.dumps(key))}: "[^"]*"', re.MULTILINE)
    return pattern.sub(f"  {json.dumps(key)}: {json.dumps(value)}", text, count=1)
