"""The checks of an audit: each reads a subject's view and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from smforge.findings import Finding
from smforge.inventory.records import Origin
from smforge.verdict.checks import devices, integrity, loading, targets
from smforge.verdict.views.subject import SubjectView

Check = Callable[[SubjectView], Iterator[Finding]]


def _check_driver(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if a driver is given, because it needs the table of toolkits."""
    if subject.request.driver is not None:
        from smforge.verdict.checks.driver import check_driver  # noqa: PLC0415

        yield from check_driver(subject, subject.request.driver)


def _check_variables(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if a unit without kernels has variables, because few have."""
    if any(region.variables for view in subject.files for region in view.file.regions):
        from smforge.verdict.checks.variables import check_variables  # noqa: PLC0415

        yield from check_variables(subject)


def _check_expected(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if a prediction is given, because it would slow down the start of every other
    audit.
    """
    if subject.request.expectations:
        from smforge.verdict.checks.expected import check_expected  # noqa: PLC0415

        yield from check_expected(subject)


def _check_jit(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if the subject has something that compiles on the device."""
    host_files = subject.reading.host_files
    if host_files.assemblers or host_files.libraries or host_files.tritons:
        from smforge.verdict.checks.jit import check_assemblers, check_compilers  # noqa: PLC0415

        yield from check_assemblers(subject)
        yield from check_compilers(subject)


def _check_probed(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if programs of the subject were run, or should have been."""
    if subject.reading.probed is not None:
        from smforge.verdict.checks.probed import check_probed  # noqa: PLC0415

        yield from check_probed(subject, subject.reading.probed)
    elif subject.reading.host_files.ask:
        from smforge.verdict.checks.probed.completeness import check_asked  # noqa: PLC0415

        yield from check_asked(subject)


def _check_cuda_libraries(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if the subject has or uses libraries of CUDA."""
    host_files = subject.reading.host_files
    if host_files.users or host_files.libraries:
        from smforge.verdict.checks.cuda_libraries import check_cuda_libraries  # noqa: PLC0415

        yield from check_cuda_libraries(subject)


def _check_records(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if packages list libraries."""
    if subject.reading.host_files.recorded:
        from smforge.verdict.checks.recorded import check_records  # noqa: PLC0415

        yield from check_records(subject)


def _check_data(subject: SubjectView) -> Iterator[Finding]:
    """Loaded only if a file has such code, because few have."""
    if any(r.origin is Origin.DATA for view in subject.files for r in view.file.regions):
        from smforge.verdict.checks.data_code import check_data  # noqa: PLC0415

        yield from check_data(subject)


CHECKS: tuple[Check, ...] = (
    devices.check_subject,
    devices.check_files,
    _check_variables,
    _check_driver,
    targets.check_targets,
    _check_expected,
    _check_jit,
    _check_cuda_libraries,
    loading.check_machine,
    loading.check_host,
    loading.check_device_link,
    _check_probed,
    integrity.check_copies,
    integrity.check_damage,
    _check_records,
    integrity.check_headers,
    integrity.check_names,
    integrity.check_backends,
    integrity.check_unseen,
    _check_data,
    integrity.check_unjudged,
)
