"""Saved reports as the outputs of a step of GitHub Actions.

``python -m smforge.report.step_outputs FILE`` writes the lines that action.yml adds to the file
that GITHUB_OUTPUT names: ``NAME=VALUE``, one for each output. A value is a word of the report's own
lists or a device, so no text of the subject can add a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from smforge.report.model import Report
from smforge.report.outline import NOTHING_REQUIRED, verdict_word

UNKNOWN = "unknown"
"""The value of `missing` where no report can say it."""
_WORST_FIRST = ("fail", "undetermined", "nothing", NOTHING_REQUIRED, "pass")


def step_outputs(reports: Sequence[Report]) -> Iterator[str]:
    """The lines: `verdict` is the worst of all, `missing` what errors of the reports name.

    `verdict` is pass, fail, nothing, undetermined or nothing-required; without a report it is
    undetermined. `missing` has the required devices and targets on which not all runs, and is
    `UNKNOWN` where the verdict is neither pass nor fail.
    """
    words = [verdict_word(report) for report in reports] or ["undetermined"]
    verdict = next(word for word in _WORST_FIRST if word in words)
    known = verdict in {"pass", "fail"}
    yield f"verdict={verdict.replace(' ', '-')}"
    yield f"missing={' '.join(_missing(reports)) if known else UNKNOWN}"


def _missing(reports: Sequence[Report]) -> list[str]:
    """Devices and targets, each once, in the order of the findings."""
    named = (
        finding.device or finding.target
        for report in reports
        for finding in report.findings
        if finding.level == "error"
    )
    return list(dict.fromkeys(one for one in named if one))


if __name__ == "__main__":
    from smforge.report.saved import reports_from_json

    saved = reports_from_json(Path(sys.argv[1]).read_bytes())
    sys.stdout.writelines(f"{line}\n" for line in step_outputs(saved))
