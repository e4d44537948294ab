"""Did the probes examine everything? What they did not examine is never a pass."""

from __future__ import annotations

import re
from collections.abc import Iterator

from smforge.findings import Finding, Level
from smforge.inventory.jit_tools.records import Source
from smforge.inventory.probing.records import (
    AnyDocument,
    Assembly,
    Extensions,
    How,
    Kernels,
    Models,
    Probed,
    Serving,
)
from smforge.verdict.checks.probed.wording import brief, counted, is_late, listed, raised
from smforge.verdict.data import table
from smforge.verdict.rules import PROBE_FAILED, PROBED
from smforge.verdict.views.subject import SubjectView

_PYTHON_REMEDY = "Name the Python that the image's programs run with: --probe-python PYTHON."
_LIBRARY = re.compile(r"\.so(\.\d+)*\Z")
_INSTALLED = re.compile(r"(^|/)(site|dist)-packages/")
_DEVICES_MATTER = ("ptxas", "flashinfer")


def check_completeness(subject: SubjectView, probed: Probed) -> Iterator[Finding]:
    """What each probe examined, and what none of them did."""
    if probed.not_run is not None:
        yield PROBE_FAILED.finding(f"{brief(probed.not_run)}.", remedy=_PYTHON_REMEDY)
        return
    for name, document in probed.documents().items():
        if document is None:
            yield PROBE_FAILED.finding(f"The probe {name} wrote nothing.")
        else:
            yield from _gaps(subject, name, document)
    if probed.models is not None:
        yield from _summary("models", probed.models, _about_models(probed.models))
    if probed.extensions is not None:
        yield from _unloaded(subject, probed.extensions)
        yield from _summary("extensions", probed.extensions, _about_extensions(probed.extensions))
    if probed.ptxas is not None:
        yield from _summary("ptxas", probed.ptxas, _about_assembly(probed.ptxas))
    if probed.flashinfer is not None:
        yield from _summary("flashinfer", probed.flashinfer, _about_kernels(probed.flashinfer))
    if probed.serving is not None:
        yield from _summary("serving", probed.serving, _about_serving(probed.serving))


def check_asked(subject: SubjectView) -> Iterator[Finding]:
    """What was run of a subject that has neither a container nor a Python."""
    name = subject.inventory.subject.name
    assemblers = subject.reading.host_files.assemblers
    asked = sum(one.source is Source.ASKED for one in assemblers)
    if assemblers:
        told = f"Only {asked} of {counted(len(assemblers), 'assembler', 'assemblers')}"
        told += f" in {name} {'was' if asked == 1 else 'were'} run."
    else:
        told = f"Nothing of {name} was run: it has no assembler."
    yield PROBE_FAILED.finding(
        f"{told} Its Python packages run only in an image of the engine, or with a Python that "
        "uses them.",
        level=Level.WARNING if assemblers else Level.ERROR,
        remedy="Audit image:REF, name a Python with --probe-python, or leave out --probe.",
    )


def _gaps(subject: SubjectView, name: str, document: AnyDocument) -> Iterator[Finding]:
    if document.failure is not None:
        yield PROBE_FAILED.finding(
            f"The probe {name} could not begin: {raised(document.failure)}.",
            remedy="Correct what the message names, or name another Python with --probe-python.",
        )
    elif document.ended is not None:
        said = document.said.strip().splitlines()
        last = f" Its last words: {brief(said[-1])}." if said else ""
        yield PROBE_FAILED.finding(f"The probe {name} ended with {document.ended}.{last}")
    unexamined = [*document.not_examined, *_late(document)]
    if unexamined:
        yield PROBE_FAILED.finding(
            f"The probe {name} did not examine {listed(dict.fromkeys(unexamined))}: it ran out of "
            "time, or did not come to them."
        )
    yield from _unseen(subject, name, document)
    asked = set(document.devices)
    unasked = [str(one) for one in subject.request.requirements.devices if str(one) not in asked]
    if unasked and document.there and name in _DEVICES_MATTER:
        yield PROBE_FAILED.finding(f"The probe {name} was not asked about {listed(unasked)}.")


def _late(document: AnyDocument) -> Iterator[str]:
    for item, examinations in document.by_item().items():
        decisive = examinations.get(How.ALONE) or examinations.get(How.TOGETHER)
        if decisive is None or is_late(decisive.ended):
            yield item


def _unseen(subject: SubjectView, name: str, document: AnyDocument) -> Iterator[Finding]:
    """Packages of the subject that the Python that ran the probe did not find."""
    package = table("probes")["packages"].get(name)
    if package is None or document.there is not False:
        return
    paths = [file.path for file in subject.inventory.files]
    paths += [one.path for one in subject.reading.host_files.assemblers]
    path = next((path for path in paths if re.search(package["files"], path)), None)
    if path is not None:
        yield PROBE_FAILED.finding(
            f"{package['name']} lies in the subject ({path}), but the Python that ran the "
            f"probes, {document.python} in {document.prefix}, does not find it.",
            remedy=_PYTHON_REMEDY,
        )


def _unloaded(subject: SubjectView, document: Extensions) -> Iterator[Finding]:
    """Libraries with GPU code in installed packages that the probe did not examine."""
    linked = re.compile(table("probes")["linked"])
    examined = {item.item for item in document.items} | set(document.not_examined)
    unseen = [
        file.path
        for file in subject.inventory.files
        if any(map(linked.match, file.needed))
        and _LIBRARY.search(file.path)
        and _INSTALLED.search(file.path)
        and not any(path.endswith(f"/{file.path}") for path in examined)
    ]
    if unseen:
        yield PROBE_FAILED.finding(
            f"{counted(len(unseen), 'library lies', 'libraries lie')} in the subject and not "
            f"where the Python that ran the probes, {document.python} in {document.prefix}, looks "
            f"for packages: {listed(unseen)}.",
            remedy=_PYTHON_REMEDY,
        )


def _summary(name: str, document: AnyDocument, told: str) -> Iterator[Finding]:
    """What was examined: without this note, no finding could also mean that nothing was
    examined.
    """
    if document.there is False:
        package = table("probes")["packages"][name]["name"]
        yield PROBED.finding(f"{package} is not installed, so nothing of it was examined.")
    elif document.there:
        versions = (f"{key} {value}" for key, value in document.packages.items() if value)
        yield PROBED.finding(
            f"{told}, in {document.seconds:,.0f} s without a GPU (Python {document.python}"
            f"{''.join(f', {one}' for one in versions)})."
        )


def _about_models(document: Models) -> str:
    well = [
        one
        for one in document.by_item().values()
        if (one.get(How.ALONE) or one.get(How.TOGETHER) or one[How.ASSUMING]).is_well
    ]
    modules = {item.notes.module for item in document.items}
    return (
        f"{len(well):,} of {counted(len(document.by_item()), 'architecture', 'architectures')} in "
        f"{counted(len(modules), 'module', 'modules')} were imported and inspected"
    )


def _about_extensions(document: Extensions) -> str:
    well = sum(item.is_well for item in document.items)
    number = counted(len(document.items), "library", "libraries")
    return f"{well:,} of {number} that are linked with CUDA or torch were loaded"


def _about_assembly(document: Assembly) -> str:
    done = (
        f"{one.notes.target} ({one.notes.compiler}, CUDA {one.notes.release})"
        for one in document.items
        if one.is_well and one.notes.status == 0
    )
    return f"A kernel was assembled for {listed(done) or 'no device'}"


def _about_kernels(document: Kernels) -> str:
    each = (
        f"{counted(len(one.notes.loaded), 'module', 'modules')} for {one.item}"
        for one in document.items
    )
    return f"FlashInfer was started without compiling, and loaded {listed(each) or 'nothing'}"


def _about_serving(document: Serving) -> str:
    found = document.by_item()
    well = [item for item, one in found.items() if any(each.is_well for each in one.values())]
    told = f"vLLM was started as it is and as if there were a driver; {listed(well)} worked"
    usable = [one.notes.usable for one in document.items if one.notes.usable is not None]
    if usable:
        told += f"; vLLM {'uses' if usable[0] else 'does not use'} FlashInfer"
    return told
