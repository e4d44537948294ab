"""Can vLLM inspect its models without a GPU?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

from smforge.findings import Finding, Level
from smforge.inventory.probing.records import Frame, How, Item, ModelNotes, Models, Raised
from smforge.verdict.checks.probed.wording import brief, counted, is_late, listed, raised
from smforge.verdict.data import table
from smforge.verdict.rules import (
    CUDA_AT_IMPORT,
    MODEL_NEEDS_EXTENSION,
    MODEL_NEEDS_GPU,
    MODEL_NOT_IMPORTABLE,
    MODEL_PACKAGE_ABSENT,
)

_TREE = "vllm"
Examinations = Mapping[How, Item[ModelNotes]]


class _Kind(Enum):
    """The kinds of reasons why a model cannot be inspected."""

    CUDA = auto()
    CUDA_CAUGHT = auto()
    """It touches CUDA, and catches the error."""
    PACKAGE = auto()
    GPU = auto()
    """Only the missing GPU."""
    EXTENSION = auto()
    """A compiled extension that this part of vLLM leaves out."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class _Defect:
    """What is wrong with an architecture; equal defects of several make one finding."""

    kind: _Kind
    place: Frame | None
    """The last place within vLLM, or within the model's own package."""
    what: str
    detail: str = field(compare=False, default="")


def check_models(document: Models) -> Iterator[Finding]:
    """Architectures that cannot be inspected, those with one and the same defect together."""
    found: dict[_Defect, list[Item[ModelNotes]]] = {}
    for examinations in document.by_item().values():
        for defect, item in _defects(examinations, document):
            found.setdefault(defect, []).append(item)
    for defect, items in found.items():
        yield _finding(defect, items)


def _defects(
    examinations: Examinations, document: Models
) -> Iterator[tuple[_Defect, Item[ModelNotes]]]:
    # vLLM imports each model separately, so the result of a separate import counts.
    item = examinations.get(How.ALONE) or examinations.get(How.TOGETHER)
    if item is None or is_late(item.ended):
        return
    if not item.is_well:
        yield _failure(item, examinations.get(How.ASSUMING), document), item
    cuda = item.failure is not None and _about_cuda(item.failure) is not None
    for stack in () if cuda else item.notes.cuda:
        place = _place(stack, item.notes)
        yield _Defect(_Kind.CUDA_CAUGHT, place, "it asks torch to initialise CUDA"), item


def _failure(
    item: Item[ModelNotes], assuming: Item[ModelNotes] | None, document: Models
) -> _Defect:
    if item.ended is not None:
        what = f"ends the interpreter with {item.ended}"
        return _Defect(_Kind.OTHER, None, what)
    failure = item.failure or ()
    about_cuda = _about_cuda(failure)
    if about_cuda is not None:
        place = _place(about_cuda.frames, item.notes) or _place_of(failure, item.notes)
        what = f"{about_cuda.type}: {brief(about_cuda.message)}"
        return _Defect(_Kind.CUDA, place, what)
    place = _place_of(failure, item.notes)
    package = _absent_package(failure, item.notes)
    if package is not None and _normal(package) not in document.settings.requires:
        return _Defect(_Kind.PACKAGE, place, package)
    if assuming is not None and assuming.is_well:
        return _Defect(_Kind.GPU, place, raised(failure))
    extension = _left_out(failure, document)
    if extension is not None:
        return _Defect(_Kind.EXTENSION, place, extension)
    innermost = failure[0].frames[-1] if failure and failure[0].frames else None
    within = f" (raised at {_told(innermost)})" if innermost and innermost != place else ""
    return _Defect(_Kind.OTHER, place, raised(failure), within)


def _finding(defect: _Defect, items: Sequence[Item[ModelNotes]]) -> Finding:
    names = dict.fromkeys(item.item for item in items)
    models = f"{counted(len(names), 'architecture', 'architectures')} ({listed(names)})"
    where = _told(defect.place) if defect.place else "at a place that is not known"
    file = defect.place.file if defect.place else None
    match defect.kind:
        case _Kind.CUDA | _Kind.CUDA_CAUGHT:
            return _about_touching(defect, items, models, where)
        case _Kind.PACKAGE:
            return MODEL_PACKAGE_ABSENT.finding(
                f"The package {defect.what} is not installed, nor required by vLLM; without it "
                f"{models} cannot be imported ({where}).",
                file=file,
                remedy=f"Install {defect.what} where these models are to be served.",
            )
        case _Kind.GPU:
            return MODEL_NEEDS_GPU.finding(
                f"{models} can be imported only with a driver: {where}, {defect.what}. With a "
                "stand-in for it and vLLM's CUDA platform the import succeeds.",
                file=file,
            )
        case _Kind.EXTENSION:
            return MODEL_NEEDS_EXTENSION.finding(
                f"{models} cannot be imported ({where}): {defect.what} is not in this part of "
                "vLLM.",
                file=file,
                remedy="Add the extension to the variant where these models are to be served.",
            )
        case _Kind.OTHER:
            return MODEL_NOT_IMPORTABLE.finding(
                f"{models} cannot be imported: {where}, {defect.what}{defect.detail}.",
                file=file,
                remedy="Correct what the message names, or take the models out of the registry.",
            )


def _about_touching(
    defect: _Defect, items: Sequence[Item[ModelNotes]], models: str, where: str
) -> Finding:
    modules = listed(dict.fromkeys(item.notes.module or "an unknown module" for item in items))
    if defect.kind is _Kind.CUDA:
        level, consequence = Level.ERROR, f"vLLM cannot inspect {models} where there is no GPU"
    else:
        level = Level.WARNING
        consequence = f"that is caught here, but with a GPU the import of {models} claims it"
    return CUDA_AT_IMPORT.finding(
        f"{modules}: CUDA is touched at import, {where} ({defect.what}): {consequence}.",
        level=level,
        file=defect.place.file if defect.place else None,
        remedy="Move the call into what runs on the device, or ask vLLM's current_platform.",
    )


def _about_cuda(failure: Sequence[Raised]) -> Raised | None:
    """The exception of a chain that comes from touching CUDA."""
    functions = {(one["file"], one["function"]) for one in table("probes")["cuda_functions"]}
    for one in failure:
        if _cuda_messages().search(one.message):
            return one
        if any((frame.file, frame.function) in functions for frame in one.frames):
            return one
    return None


def _absent_package(failure: Sequence[Raised], notes: ModelNotes) -> str | None:
    """The top-level package that is not installed, unless it is one of vLLM's own modules."""
    if not failure or failure[0].type != "ModuleNotFoundError" or not failure[0].name:
        return None
    package = failure[0].name.partition(".")[0]
    return None if package in _trees(notes) else package


def _left_out(failure: Sequence[Raised], document: Models) -> str | None:
    """The compiled extensions that an exception names, where only a part of vLLM was built."""
    version = document.packages.get(_TREE) or ""
    if not re.search(table("probes")["part_of_vllm"], version):
        return None
    pattern = re.compile(table("probes")["extension"])
    for one in failure:
        if one.type in {"ImportError", "ModuleNotFoundError"}:
            names = dict.fromkeys(match[0] for match in pattern.finditer(one.message))
            if names:
                return " or ".join(names)
    return None


def _place_of(failure: Sequence[Raised], notes: ModelNotes) -> Frame | None:
    return next((place for one in failure if (place := _place(one.frames, notes))), None)


def _place(frames: Sequence[Frame], notes: ModelNotes) -> Frame | None:
    trees = _trees(notes)
    within = [frame for frame in frames if frame.file.partition("/")[0] in trees]
    return within[-1] if within else None


def _trees(notes: ModelNotes) -> set[str]:
    return {_TREE, (notes.module or _TREE).partition(".")[0]}


def _told(frame: Frame) -> str:
    return f"{frame.file}, line {frame.line}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _cuda_messages() -> re.Pattern[str]:
    return re.compile("|".join(table("probes")["cuda_messages"]))
