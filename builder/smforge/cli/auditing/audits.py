"""Audits one subject after the other; one that cannot be read does not stop the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from smforge.cli.complaints import complain
from smforge.cli.exit_codes import exit_code, worst
from smforge.cli.probing import Probing
from smforge.cli.progress import ProgressLine
from smforge.errors import EXIT_USAGE, SmforgeError
from smforge.findings import Outcome
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.asked import Asked
from smforge.inventory.subjects.opening import names_one_file
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit, audit_together
from smforge.verdict.reading import Backend
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest
from smforge.verdict.unread import unread

_MOST_NAMES = 5
"""Names of subjects without GPU code in the sentence about them."""


class Audits:
    """The audits of one command, and what came out."""

    def __init__(  # noqa: PLR0913 - what an audit is made of
        self,
        request: AuditRequest,
        backend: str,
        options: ReadOptions,
        probing: Probing,
        fail_on: str,
        *,
        listed: bool,
        quiet: bool,
    ) -> None:
        self._request = request
        self._backend = Backend(backend)
        self._probing = probing
        self._fail_on = fail_on
        self._listed = listed
        self._quiet = quiet
        self.progress = ProgressLine(sys.stderr, quiet=quiet)
        self._options = options._replace(progress=self.progress)
        self._exits: list[int] = []
        self.verdicts: list[Verdict] = []
        self.reports: list[Report] = []
        self.several = False
        """Whether there was more than one subject, whatever they hold."""
        self.without_code = 0
        """Subjects that the user did not name, that hold no GPU code and have no report."""

    @property
    def exit_code(self) -> int:
        """The worst of the subjects'."""
        return worst(self._exits)

    def run(self, subjects: Sequence[Asked]) -> None:
        """Audit each subject, and make a report for each, also for one that cannot be read.

        Of the subjects that were not named, those without GPU code are only counted.
        """
        self.several = len(subjects) > 1
        done = []
        for number, subject in enumerate(subjects, start=1):
            self.progress.subject(number, len(subjects), subject.label)
            done.append((subject, self._judged(subject)))
        empty = [
            subject
            for subject, verdict in done
            if not subject.named and verdict.outcome is Outcome.NOTHING
        ]
        if len(empty) == len(done):
            empty = []
        for subject, verdict in done:
            if subject not in empty:
                self._report(subject, verdict)
        self._count([subject.title for subject in empty if subject.packages])

    def explain(self) -> None:
        """Add to each report why kernels are missing.

        A subject whose sources are not known keeps its report, and a sentence says why.
        """
        from smforge.preflight.cache import Cache, default_directory  # noqa: PLC0415  # defers cache
        from smforge.sigterm import ended_tidily  # noqa: PLC0415  # defers sigterm
        from smforge.workflow.why.reasons import (  # noqa: PLC0415  # defers reasons
            fetch_into,
            with_reasons,
        )

        if not self._quiet:
            complain("Reading the sources, to say why kernels are missing.")
        with ended_tidily():
            cache = Cache(default_directory())
            for position, verdict in enumerate(self.verdicts):
                try:
                    report = with_reasons(self.reports[position], verdict, fetch_into(cache), cache)
                except SmforgeError as error:
                    complain(str(error))
                else:
                    self.reports[position] = report

    def _count(self, empty: Sequence[str]) -> None:
        self.without_code = len(empty)
        if empty:
            rest = len(empty) - _MOST_NAMES
            complain(
                f"{len(empty)} more without GPU code, which were not judged: "
                f"{', '.join(empty[:_MOST_NAMES])}{f' and {rest} more' if rest > 0 else ''}."
            )

    def _report(self, subject: Asked, verdict: Verdict) -> None:
        report = report_of(verdict, kernels=self._listed)
        self.verdicts.append(verdict)
        self.reports.append(report)
        levels = [finding.level for finding in report.findings]
        self._exits.append(exit_code(subject.title, report.verdict, levels, self._fail_on))
        if report.verdict == "nothing":
            complain(
                f"{subject.title} holds no GPU code, so there is nothing to pass or to fail. "
                "Name the wheel, folder or image that has the CUDA libraries."
            )

    def _judged(self, subject: Asked) -> Verdict:
        try:
            return self._audited(subject)
        except SmforgeError as error:
            if error.exit_code == EXIT_USAGE and subject.named:
                raise
            told = str(error)
            complain(told if subject.title in told else f"{subject.title}: {told}")
            return unread(subject.arguments[0], error, self._request, self._backend, subject.name)

    def _audited(self, subject: Asked) -> Verdict:
        first = subject.arguments[0]
        alone = len(subject.arguments) == 1 and names_one_file(first)
        if self._options.names or not alone:
            # Several threads will read.
            from smforge.inventory.memory import share_heaps  # noqa: PLC0415  # defers ctypes

            share_heaps()
        options = self._options._replace(
            digests=self._options.digests or not alone, packages=subject.packages
        )
        try:
            if len(subject.arguments) > 1:
                return audit_together(
                    subject.arguments, subject.name, self._request, self._backend, options
                )
            probed = self._probing.of(first, self._request)
            return audit(first, self._request, self._backend, options, probed, name=subject.name)
        finally:
            self.progress.clear()
