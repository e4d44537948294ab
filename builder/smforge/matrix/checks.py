"""Checks that the schema cannot make: whether the cells of a matrix can be built.

Each check takes the document and yields problems, so that one reading reports them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from smforge.arch import toolkits
from smforge.arch.grammar.flashinfer_list import oldest_release
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.errors import ArchitectureError, ConfigurationError, ImpossibleCellError
from smforge.matrix import paths
from smforge.matrix.bases import check_base
from smforge.matrix.externals import check_external
from smforge.matrix.lists import Entry, explain_impossible, read_word
from smforge.matrix.lookup import (
    closest,
    components_of,
    cuda_tag,
    lists_of,
    source_of,
    torch_tag,
)
from smforge.matrix.majors import majors_of
from smforge.matrix.models import (
    Document,
    Source,
    Sources,
    Toolkit,
    Variant,
    VllmSource,
)
from smforge.matrix.origins import check_origins
from smforge.matrix.paths import Path
from smforge.matrix.torches import check_torches


def problems(document: Document) -> Iterator[ConfigurationError]:
    """Everything that contradicts itself or cannot be built, in the document's order."""
    yield from _check_default(document)
    yield from _check_sources(document.sources)
    for name, toolkit in document.toolkits.items():
        yield from _check_toolkit(document, name, toolkit)
    for name, variant in document.variants.items():
        yield from _check_variant(document, ("variants", name), variant)
    yield from check_torches(document)


def _problem(path: Path, message: str, remedy: str | None) -> ConfigurationError:
    return ConfigurationError(f"{paths.render(path)}: {message}", remedy=remedy)


def _impossible(path: Path, message: str, remedy: str | None) -> ImpossibleCellError:
    return ImpossibleCellError(f"{paths.render(path)}: {message}", remedy=remedy)


def _check_default(document: Document) -> Iterator[ConfigurationError]:
    if document.default not in document.variants:
        yield _problem(
            ("default",),
            f"there is no variant {document.default!r}.",
            closest(document.default, document.variants),
        )


def _check_sources(sources: Sources) -> Iterator[ConfigurationError]:
    for component in type(sources).model_fields:
        source: Source | dict[str, Source] = getattr(sources, component)
        if isinstance(source, Source):
            yield from _check_files(("sources", component), source)
        else:
            for major, one in source.items():
                yield from _check_files(("sources", component, major), one)
                yield from _check_major(("sources", component, major), one, major)
    yield from _check_externals(("sources", "vllm"), sources.vllm)
    if Version(sources.flashinfer.version) < Version(oldest := oldest_release()):
        yield _impossible(
            ("sources", "flashinfer", "version"),
            f"FlashInfer {sources.flashinfer.version} has no packages per architecture, and no "
            "others are built here.",
            f"Take FlashInfer {oldest} or newer.",
        )


def _check_externals(path: Path, source: VllmSource) -> Iterator[ConfigurationError]:
    for name in source.stand_ins:
        if name not in source.externals:
            yield _problem(
                (*path, "stand_ins", name),
                f"there is no external {name!r} that it could stand in for.",
                closest(name, source.externals),
            )
    for key, declared in (("externals", source.externals), ("stand_ins", source.stand_ins)):
        for name, external in declared.items():
            yield from check_external((*path, key, name), external)


def _check_files(path: Path, source: Source) -> Iterator[ConfigurationError]:
    yield from _check_names(path, source.distribution, source.version, source.files)
    if (dispatcher := source.dispatcher) is not None:
        where = (*path, "dispatcher")
        yield from _check_names(where, dispatcher.distribution, source.version, dispatcher.files)


def _check_names(
    path: Path, distribution: str, version: str, files: Iterable[str]
) -> Iterator[ConfigurationError]:
    stem = f"{re.sub(r'[-_.]+', '_', distribution)}-{version}"
    for file in files:
        if not file.startswith((f"{stem}-", f"{stem}.tar.gz")):
            yield _problem(
                (*path, "files", file),
                f"this is no file of {distribution} {version}.",
                f"Its files begin with {stem}.",
            )


def _check_major(path: Path, source: Source, major: str) -> Iterator[ConfigurationError]:
    """Refuse a distribution for another CUDA major version than the one it is listed under."""
    others = [one for one in majors_of(source.distribution) if one != major]
    if others:
        yield _impossible(
            (*path, "distribution"),
            f"{source.distribution} brings CUDA {' and '.join(others)}, and would go into variants "
            f"for CUDA {major}.",
            f"Name the distribution that is built for CUDA {major} alone.",
        )


def _check_toolkit(document: Document, name: str, toolkit: Toolkit) -> Iterator[ConfigurationError]:
    path: Path = ("toolkits", name)
    if not toolkit.cuda.startswith(f"{name}."):
        yield _problem(
            (*path, "cuda"),
            f"CUDA {toolkit.cuda} is listed under {name}.",
            f"Name the toolkit {toolkit.cuda.rpartition('.')[0]}.",
        )
    try:
        toolkits.toolkit(toolkit.cuda)
    except ArchitectureError as error:
        yield _problem((*path, "cuda"), error.message, error.remedy)
    yield from _check_torch_build(path, toolkit)
    tag = torch_tag(toolkit)
    builds = document.torch_builds.get(toolkit.torch, ())
    if tag not in builds:
        having = [one for one, tags in document.torch_builds.items() if tag in tags]
        yield _impossible(
            (*path, "torch"),
            f"torch {toolkit.torch} has no build for CUDA {name} ({tag}).",
            f"torch {' and '.join(having)} has one."
            if having
            else "Choose another toolkit, or add the build to torch_builds once it is published.",
        )


def _check_torch_build(path: Path, toolkit: Toolkit) -> Iterator[ConfigurationError]:
    """Libraries of another major version have other names, so code would not find them."""
    own = cuda_tag(toolkit.cuda)
    if (build := toolkit.torch_build) is None:
        return
    if build[:4] != own[:4] or build >= own:
        yield _impossible(
            (*path, "torch_build"),
            f"{build} is no earlier release of the major version of CUDA {toolkit.cuda} ({own}).",
            "Leave it out where torch is published for the release itself.",
        )


def _check_variant(
    document: Document, path: Path, variant: Variant
) -> Iterator[ConfigurationError]:
    toolkit = document.toolkits.get(variant.toolkit)
    if toolkit is None:
        yield _problem(
            (*path, "toolkit"),
            f"there is no toolkit {variant.toolkit!r}.",
            closest(variant.toolkit, document.toolkits),
        )
        return
    base = toolkit.bases.get(variant.base)
    if base is None:
        offered = list(toolkit.bases)
        yield _impossible(
            (*path, "base"),
            f"CUDA {variant.toolkit} has no {variant.base} base.",
            f"Use {' or '.join(offered)}." if offered else "Give the toolkit a base.",
        )
    else:
        yield from check_base(document.sources, path, variant, (toolkit, base))
    names = list(components_of(variant.components))
    if not names:
        yield _problem((*path, "components"), "nothing is to be built.", "Name a component.")
    for name in names:
        yield from _check_source(document, (*path, "components", name), toolkit, name)
    yield from check_origins(document.sources, path, variant, base)
    yield from _check_stand_ins(document.sources.vllm, path, variant)
    yield from _check_platforms(path, variant)
    try:
        cuda = toolkits.toolkit(toolkit.cuda)
    except ArchitectureError:
        return  # said already, at the toolkit
    yield from _check_lists(document.sources, path, variant, cuda)


def _check_source(
    document: Document, path: Path, toolkit: Toolkit, component: str
) -> Iterator[ConfigurationError]:
    source = source_of(document.sources, component, toolkit.cuda)
    if source is None:
        yield _impossible(
            path,
            f"no release of {component} for CUDA {toolkit.cuda} is among the sources.",
            f"Add it to $.sources.{component}, or leave {component} out.",
        )


def _check_stand_ins(
    source: VllmSource, path: Path, variant: Variant
) -> Iterator[ConfigurationError]:
    for name in variant.components.vllm.stand_ins if variant.components.vllm else ():
        where = (*path, "components", "vllm", "stand_ins")
        if name not in source.stand_ins:
            yield _problem(
                where, f"there is no stand-in for {name!r}.", closest(name, source.stand_ins)
            )


def _check_platforms(path: Path, variant: Variant) -> Iterator[ConfigurationError]:
    """Each arch list has to name exactly the platforms that the variant is required for."""
    for name, lists in lists_of(variant.components):
        where: Path = (*path, "components", name, "archs")
        for platform in variant.require:
            if platform not in lists:
                yield _problem(where, f"there is no list for {platform}.", "Add one.")
        for platform in lists:
            if platform not in variant.require:
                yield _problem(
                    (*where, platform),
                    f"the variant is not built for {platform}.",
                    f"Take the list out, or add {platform} to {paths.render((*path, 'require'))}.",
                )


def _check_lists(
    sources: Sources, path: Path, variant: Variant, toolkit: toolkits.Toolkit
) -> Iterator[ConfigurationError]:
    for platform, words in variant.require.items():
        found: dict[str, tuple[Entry, ...]] = {}
        broken = False
        for name, lists in lists_of(variant.components):
            if platform not in lists:
                continue
            where: Path = (*path, "components", name, "archs", platform)
            release = f"{name} {getattr(sources, name).version}"
            entries, mistakes = _read(where, release, lists[platform], toolkit)
            yield from mistakes
            found[name] = entries
            broken = broken or bool(mistakes)
        where = (*path, "require", platform)
        requirements, mistakes = _read_requirements(where, words, toolkit)
        yield from mistakes
        if not broken:  # what a mended list covers is not known yet
            yield from _check_coverage(where, requirements, found)


def _read(
    path: Path, release: str, words: tuple[str, ...], toolkit: toolkits.Toolkit
) -> tuple[tuple[Entry, ...], list[ConfigurationError]]:
    """The entries of a list of a component's release (``vllm 0.33.0``), and its mistakes."""
    component, _, version = release.partition(" ")
    entries: list[Entry] = []
    mistakes: list[ConfigurationError] = []
    for index, word in enumerate(words):
        where = (*path, index)
        try:
            read = read_word(component, version, word, toolkit)
        except ArchitectureError as error:
            mistakes.append(_problem(where, error.message, error.remedy))
            continue
        for entry in read:
            if why := explain_impossible(toolkit, entry.target):
                reason, remedy = why
                if not word.startswith(str(entry.target)):
                    reason = f"{word} stands for {entry.target}. {reason}"
                mistakes.append(_impossible(where, reason, remedy))
            elif twin := next((one for one in entries if one.target == entry.target), None):
                mistakes.append(
                    _problem(
                        where,
                        f"{word} and {twin.word} both ask for {entry.target}.",
                        "Take one of them out.",
                    )
                )
            else:
                entries.append(entry)
    return tuple(entries), mistakes


def _read_requirements(
    path: Path, words: tuple[str, ...], toolkit: toolkits.Toolkit
) -> tuple[dict[int, Requirements], list[ConfigurationError]]:
    """The requirement of each word, by its index."""
    requirements: dict[int, Requirements] = {}
    mistakes: list[ConfigurationError] = []
    for index, word in enumerate(words):
        where = (*path, index)
        if word in words[:index]:
            mistakes.append(_problem(where, f"{word} is required twice.", "Take one out."))
            continue
        try:
            requirement = parse_requirements([word])
        except ArchitectureError as error:
            mistakes.append(_problem(where, error.message, error.remedy))
            continue
        reasons = [explain_impossible(toolkit, one.target) for one in requirement.targets]
        mistakes.extend(_impossible(where, *why) for why in reasons if why is not None)
        if not any(reasons):
            requirements[index] = requirement
    return requirements, mistakes


def _check_coverage(
    path: Path, requirements: dict[int, Requirements], lists: dict[str, tuple[Entry, ...]]
) -> Iterator[ConfigurationError]:
    for index, requirement in requirements.items():
        for device in requirement.devices:
            lacking = [
                name
                for name, entries in lists.items()
                if not any(entry.runs_on(device) for entry in entries)
            ]
            if lacking:
                yield _impossible(
                    (*path, index),
                    f"nothing in the list of {' and '.join(lacking)} runs on {device}.",
                    f"Add {device} there, or do not require it.",
                )
        for target in requirement.targets:
            if lists and not any(
                entry.satisfies(target) for entries in lists.values() for entry in entries
            ):
                yield _impossible(
                    (*path, index),
                    f"no component's list asks for {target}.",
                    f"Add {target.target} to one of them, or do not require it.",
                )
