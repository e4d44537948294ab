"""What each rule of a preflight means. A test proves that docs/preflight.md has every one."""

from __future__ import annotations

SUMMARIES = {
    "build-refused": "The build stops while it configures.",
    "toolkit-lacks-target": "The toolkit does not know a requested target.",
    "compiler-refuses-target": "Sources are to be compiled for a target that nvcc does not know.",
    "selection-unmatched": "A selection names what these sources do not compile.",
    "arch-dropped": "No source is compiled for a requested target's device.",
    "source-lost": "Sources that a sibling gets are not compiled for a requested target.",
    "source-ptx-only": "Sources reach a requested device as PTX only.",
    "family-narrowed": "A family was asked for, and sources do not serve all of it.",
    "arch-by-default": "Nobody chose an architecture for sources, so nvcc takes its default.",
    "not-compared": "No baseline could be configured, so losses are not known.",
    "upstream-lists-disagree": "Upstream's own files default to lists for different devices.",
    "arch-collapsed": "Nothing is compiled as the requested target; others serve its device.",
    "source-foreign": "Sources are made for other devices; the sibling does not get them either.",
    "baseline-refused": "A list could not be compared with.",
    "not-examined": "An external project was not there to look at.",
}
