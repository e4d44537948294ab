"""Resolves a matrix and the names of variants to a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from smforge.arch import toolkits
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.errors import UsageError
from smforge.matrix.bases import python_of
from smforge.matrix.lists import Entry, read_list
from smforge.matrix.load import Matrix
from smforge.matrix.lookup import (
    closest,
    components_of,
    cuda_tag,
    is_published,
    lists_of,
    source_of,
)
from smforge.matrix.models import (
    Document,
    RegistryBase,
    Source,
    Toolkit,
    Variant,
    VllmSource,
)
from smforge.matrix.shape.words import Platform
from smforge.matrix.wheels import wheel_for
from smforge.plan import bake
from smforge.plan.block import check_block
from smforge.plan.externals import externals_for
from smforge.plan.records import (
    Cell,
    Plan,
    PlannedBase,
    PlannedComponent,
    PlannedImage,
    PlannedToolkit,
    PublishedWheel,
    Rewritten,
)


def resolve(
    matrix: Matrix,
    variant_names: Sequence[str] = (),
    checkouts: Mapping[str, str] | None = None,
) -> Plan:
    """Resolve the named variants, all when none is named; each counts once.

    `checkouts` has the versions of trees that are built in place of releases, by component.

    Raises `UsageError` for a name that the matrix lacks, and `ConfigurationError` when its
    `variable` block is stale. Everything else was refused when the matrix was loaded.
    """
    document = matrix.document
    for name in variant_names:
        if name not in document.variants:
            raise UsageError(
                f"{matrix.path} has no variant {name!r}.", remedy=closest(name, document.variants)
            )
    check_block(matrix, default_variables(matrix))
    names = dict.fromkeys(variant_names or document.variants)
    cells = tuple(
        _resolve_cell(document, name, platform, checkouts or {})
        for name in names
        for platform in document.variants[name].require
    )
    return Plan(matrix.path.name, matrix.sha256, cells)


def default_variables(matrix: Matrix) -> dict[str, str]:
    """The variables of the default variant's first platform."""
    document = matrix.document
    platform = next(iter(document.variants[document.default].require))
    return dict(_resolve_cell(document, document.default, platform, {}).variables)


def _resolve_cell(
    document: Document, name: str, platform: Platform, checkouts: Mapping[str, str]
) -> Cell:
    variant = document.variants[name]
    declared = document.toolkits[variant.toolkit]
    cuda = toolkits.toolkit(declared.cuda)
    toolkit = PlannedToolkit(
        cuda=declared.cuda,
        tag=cuda_tag(declared.cuda),
        ptx_isa=cuda.ptx_isa,
        minimum_driver=str(cuda.minimum_driver) if cuda.minimum_driver else None,
        torch=declared.torch,
        wheel_mb=declared.wheel_mb,
        torch_build=declared.torch_build,
    )
    base = _resolve_base(declared, variant)
    lists = {
        component: read_list(
            component,
            getattr(document.sources, component).version,
            words[platform],
            cuda,
        )
        for component, words in lists_of(variant.components)
    }
    requirements = parse_requirements(variant.require[platform])
    components = tuple(
        _resolve_published(document, variant, component, platform, requirements, checkouts)
        if is_published(getattr(variant.components, component))
        else _resolve_component(document, variant, component, lists.get(component, ()), checkouts)
        for component in components_of(variant.components)
    )
    cell = Cell(
        variant=name,
        platform=platform,
        toolkit=toolkit,
        base=base,
        requirements=requirements,
        components=components,
        image=_resolve_image(name, variant, components),
        targets=(),
        variables={},
        policies=variant.policies,
        dropped=tuple(bake.without_target(components)),
        rewritten=tuple(_rewritten(lists)),
    )
    return replace(
        cell, targets=bake.targets_for(cell), variables=bake.variables_for(document, cell)
    )


def _resolve_base(toolkit: Toolkit, variant: Variant) -> PlannedBase:
    base = toolkit.bases[variant.base]
    if isinstance(base, RegistryBase):
        image = f"{base.image}@{base.digest}" if base.digest else base.image
        return PlannedBase("registry", image, None, ())
    pins = tuple(f"{name}=={version}" for name, version in base.packages.items())
    return PlannedBase("packages", None, base.suite, pins)


def _resolve_component(
    document: Document,
    variant: Variant,
    name: str,
    entries: Sequence[Entry],
    checkouts: Mapping[str, str],
) -> PlannedComponent:
    declared = getattr(variant.components, name)
    source = source_of(document.sources, name, document.toolkits[variant.toolkit].cuda)
    assert source is not None, "the matrix was loaded without this component's source"
    return PlannedComponent(
        name=name,
        version=checkouts.get(name, source.version),
        checkout=name in checkouts,
        archs=tuple(dict.fromkeys(entry.word for entry in entries)),
        targets=tuple(entry.target for entry in entries),
        ptx=tuple(entry.target for entry in entries if entry.ptx),
        settings=dict(_settings(declared)),
        externals=(
            tuple(externals_for(source, declared)) if isinstance(source, VllmSource) else ()
        ),
    )


def _resolve_published(  # noqa: PLR0913, PLR0917  # what one published component depends on
    document: Document,
    variant: Variant,
    name: str,
    platform: Platform,
    requirements: Requirements,
    checkouts: Mapping[str, str],
) -> PlannedComponent:
    """A component whose published wheel is taken."""
    if name in checkouts:
        raise UsageError(
            f"A checkout of {name} is given, and this variant takes {name} as published.",
            remedy=f'Leave the checkout out, or write "from": "source" for {name}.',
        )
    source: Source = getattr(document.sources, name)
    base = document.toolkits[variant.toolkit].bases[variant.base]
    file = wheel_for(source.files, platform, python_of(base))
    assert file is not None, "the matrix was loaded without this component's wheel"
    targets = (one.target.capability for one in requirements.targets)
    repair = getattr(variant.components, name).repair
    return PlannedComponent(
        name=name,
        version=source.version,
        archs=(),
        targets=(),
        ptx=(),
        settings={},
        published=PublishedWheel(
            file=file,
            sha256=source.files[file],
            keep=tuple(sorted(dict.fromkeys(requirements.devices or targets))),
            repair=repair is not False,
        ),
    )


def _resolve_image(
    name: str, variant: Variant, components: Sequence[PlannedComponent]
) -> PlannedImage | None:
    if variant.image is None:
        return None
    versions = {one.name: one.version for one in components}
    content = versions.get("vllm") or versions.get("flashinfer") or components[0].version
    # A tag may not hold the plus sign of a checkout's version.
    tag = f"{content.replace('+', '-')}-{name}"
    return PlannedImage(variant.image.name, tag, variant.image.user)


def _settings(component: object) -> Iterator[tuple[str, str]]:
    for key in ("selection", "extensions"):
        value: str | Iterable[str] | None = getattr(component, key, None)
        if value is not None:
            yield key, value if isinstance(value, str) else " ".join(value)


def _rewritten(lists: dict[str, tuple[Entry, ...]]) -> Iterator[Rewritten]:
    """The words that a component's tool compiles as another target."""
    for component, entries in lists.items():
        for entry in entries:
            word = entry.word.removesuffix("+PTX")
            if word != str(entry.target):
                yield Rewritten(component, word, (entry.target,), "list")
