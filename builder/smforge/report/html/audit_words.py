"""The words of an audit's page: names, and explanations of states and ways to reach a device."""

from __future__ import annotations

from dataclasses import replace

from smforge.report.html.matrix import Meaning, Words
from smforge.report.state import State
from smforge.verdict.reach import Reach

KERNELS = Words(
    row="library",
    rows="libraries",
    item="kernel",
    items="kernels",
    family="family",
    families="families",
    embedded="Embedded as",
    hint="The filter takes words of a path, a kernel or a device (12.1, Hopper, Spark). "
    "Headings sort. Open a cell for its kernels.",
)
REGIONS = replace(KERNELS, item="region", items="regions", family="source", families="sources")
SUBJECTS = {"row": "subject", "rows": "subjects"}
"""What differs in the tab of all subjects."""
SUBJECTS_HINT = "Headings sort. Open a subject for its libraries and findings."
STATES = (
    Meaning(
        State.NATIVE,
        "native",
        "All that is meant for the device runs from machine code.",
        number="that run",
    ),
    Meaning(
        State.PTX,
        "PTX",
        "All of it runs, some only after the driver has assembled PTX.",
        number="from PTX, of those that run",
    ),
    Meaning(State.PARTIAL, "partial", "Some of it cannot run.", number="missing"),
    Meaning(State.NONE, "none", "Nothing of it can run.", number="missing"),
    Meaning(
        State.EXCUSED,
        "excused",
        "Nothing of it can run, and a policy excuses all of it.",
        number="excused",
    ),
    Meaning(
        State.FOREIGN, "for others", "Made for other devices, by design.", number="made for others"
    ),
    Meaning(
        State.UNREACHABLE,
        "unreachable",
        "No host code can launch it on any device.",
        number="unreachable",
    ),
    Meaning(
        State.UNCLEAR,
        "not known",
        "It depends on what could not be read, or on a suffix that a cubin does not record.",
        number="not known",
    ),
    Meaning(State.EMPTY, "nothing", "It holds no kernel that could be judged."),
)
REACHES = (
    Meaning(
        Reach.MISSING, "cannot run", "Ordinary code, and nothing embedded runs here.", State.NONE
    ),
    Meaning(
        Reach.NOT_PICKED,
        "cannot run",
        "The driver picks other code, which lacks it.",
        State.NONE,
    ),
    Meaning(
        Reach.PTX_TOO_NEW,
        "cannot run",
        "There is PTX, but the driver is too old for it.",
        State.NONE,
    ),
    Meaning(
        Reach.UNCLEAR,
        "not known",
        "A cubin does not say whether it is plain, a or f code.",
        State.UNCLEAR,
    ),
    Meaning(
        Reach.PICK_UNCLEAR,
        "not known",
        "NVIDIA does not document which code object is picked.",
        State.UNCLEAR,
    ),
    Meaning(
        Reach.PTX_UNSURE,
        "PTX, not certain",
        "It is not known whether the driver reads it.",
        State.PTX,
    ),
    Meaning(Reach.PTX, "PTX only", "The driver assembles it at the first load.", State.PTX),
    Meaning(Reach.NATIVE, "native", "Machine code for this device is embedded.", State.NATIVE),
    Meaning(
        Reach.FOREIGN,
        "for other devices",
        "Only a or f code, made for other devices.",
        State.FOREIGN,
    ),
    Meaning(
        Reach.ELSEWHERE,
        "for other devices",
        "Another package is loaded on this one.",
        State.FOREIGN,
    ),
    Meaning(
        Reach.ALTERNATIVE,
        "for other devices",
        "The program loads other code for it.",
        State.FOREIGN,
    ),
    Meaning(
        Reach.UNREACHABLE,
        "unreachable",
        "No host code can launch it on any device.",
        State.UNREACHABLE,
    ),
)
