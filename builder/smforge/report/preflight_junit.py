"""The preflight report as JUnit XML: a test case per requested device, and one per other error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from smforge.findings import Finding, Level
from smforge.preflight.records import Preflight
from smforge.report.preflight_table import heading

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(preflight: Preflight) -> str:
    """One ``testsuites`` document with one suite."""
    errors = [one for one in preflight.findings if one.level is Level.ERROR]
    cases = [
        _case(f"compiles for {target}", [one for one in errors if one.target == target])
        for target in preflight.requested
    ]
    cases += [_case(one.rule, [one]) for one in errors if one.target not in preflight.requested]
    suite = ET.Element("testsuite", name=_clean(heading(preflight)))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    root = ET.Element("testsuites", suite.attrib | {"name": "smforge preflight"})
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(name: str, errors: Sequence[Finding]) -> ET.Element:
    case = ET.Element("testcase", classname="preflight", name=_clean(name), time="0")
    if errors:
        first = errors[0]
        failure = ET.SubElement(case, "failure", type=first.rule, message=_clean(first.message))
        failure.text = _clean("\n".join(f"{one.message} {one.remedy or ''}" for one in errors))
    return case


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
