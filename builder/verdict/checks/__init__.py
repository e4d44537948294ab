"""What is looked for: each check reads a case and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from builder.verdict.case import Case
from builder.verdict.checks import devices, expected, integrity, jit, loading, targets
from builder.verdict.records import Finding

Check = Callable[[Case], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    devices.check_subject,
    devices.check_files,
    targets.check_targets,
    expected.check_expected,
    jit.check_assemblers,
    jit.check_compilers,
    loading.check_cuda_majors,
    integrity.check_damage,
    integrity.check_backends,
    integrity.check_unseen,
    integrity.check_unjudged,
)
