"""The verdict about a subject that could not be read: undetermined, in every form of a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smforge.errors import SmforgeError
from smforge.findings import Outcome
from smforge.inventory.records import Inventory, Subject, SubjectKind
from smforge.inventory.subjects.opening import names_image, names_remote, public_name
from smforge.verdict.judge import judge
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest
from smforge.verdict.rules import SUBJECT_UNREAD


def unread(
    argument: str,
    error: SmforgeError,
    request: AuditRequest,
    backend: Backend = Backend.NATIVE,
    name: str = "",
) -> Verdict:
    """Say that nothing is known of the subject that `argument` names, and why.

    `name` is what the verdict calls it, where that is not the subject's own name.

    No data is never a pass: without this verdict a report of several subjects would look as if
    the others were all.
    """
    subject = _subject(argument)
    subject = subject._replace(name=name or subject.name)
    judged = judge(Reading(Inventory(subject, (), 0), backend), request)
    why = error.message.removeprefix(f"{argument}: ").removeprefix(f"{subject.name}: ")
    finding = SUBJECT_UNREAD.finding(
        f"{subject.name} could not be read: {why}", remedy=error.remedy
    )
    findings = (finding, *(one for one in judged.findings if one.file is not None))
    return replace(judged, findings=findings, outcome=Outcome.UNDETERMINED)


def _subject(argument: str) -> Subject:
    if names_image(argument):
        return Subject(SubjectKind.IMAGE, argument, None)
    if names_remote(argument):
        wheel = argument.startswith("pypi:") or ".whl" in argument
        kind = SubjectKind.WHEEL if wheel else SubjectKind.FILE
        return Subject(kind, public_name(argument), None)
    path = Path(argument)
    kind = SubjectKind.WHEEL if path.suffix == ".whl" else SubjectKind.FILE
    return Subject(SubjectKind.TREE if path.is_dir() else kind, path.name or argument, None)
