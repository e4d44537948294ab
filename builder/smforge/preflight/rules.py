"""The rules of a preflight. A test proves that docs/preflight.md has every one of them."""

from __future__ import annotations

from smforge.findings import Level, Rule

RULES: tuple[Rule, ...] = (
    Rule("build-refused", Level.ERROR, "The build stops while it configures."),
    Rule("toolkit-lacks-target", Level.ERROR, "The toolkit does not know a requested target."),
    Rule(
        "compiler-refuses-target",
        Level.ERROR,
        "Sources would be compiled for a target that nvcc does not know.",
    ),
    Rule(
        "selection-unmatched",
        Level.ERROR,
        "A selection names what these sources do not make.",
    ),
    Rule(
        "selection-not-examined",
        Level.ERROR,
        "A selection names what an external project makes, and that project was not there.",
    ),
    Rule(
        "pin-differs",
        Level.ERROR,
        "The matrix pins a version or a commit other than the sources ask for.",
    ),
    Rule("arch-dropped", Level.ERROR, "No source is compiled for a device."),
    Rule(
        "target-missing",
        Level.ERROR,
        "No source is compiled as a target that is required by name.",
    ),
    Rule("ptx-dropped", Level.ERROR, "The list asks for PTX that no source gets."),
    Rule(
        "source-lost",
        Level.ERROR,
        "Sources that a device could get are not compiled for it.",
    ),
    Rule("source-ptx-only", Level.ERROR, "Sources reach a requested device as PTX only."),
    Rule(
        "family-narrowed",
        Level.WARNING,
        "A family was asked for, and sources do not serve all of it.",
    ),
    Rule(
        "arch-by-default",
        Level.WARNING,
        "No architecture was chosen for sources, so nvcc uses its default.",
    ),
    Rule(
        "not-compared",
        Level.WARNING,
        "No baseline could be configured, so losses are not known.",
    ),
    Rule(
        "upstream-lists-disagree",
        Level.ERROR,
        "Upstream's own files default to lists for different devices.",
    ),
    Rule(
        "arch-collapsed",
        Level.NOTE,
        "Nothing is compiled as the requested target; others serve its device.",
    ),
    Rule(
        "external-differs",
        Level.WARNING,
        "A checkout is not at the commit that the sources ask for, or a stand-in was examined.",
    ),
    Rule(
        "baseline-refused",
        Level.NOTE,
        "The sources refuse a list that a device is compared with.",
    ),
    Rule("not-examined", Level.NOTE, "An external project was not there to be examined."),
)
"""In the order in which reports list them; SARIF refers to them by position."""

RULE_BY_ID = {rule.id: rule for rule in RULES}
