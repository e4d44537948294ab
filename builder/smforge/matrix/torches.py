"""Whether the components of a toolkit's variants are made for the torch of the toolkit."""

from __future__ import annotations

from collections.abc import Iterator

from smforge.errors import ImpossibleCellError
from smforge.matrix import paths
from smforge.matrix.lookup import components_of, source_of, torch_tag
from smforge.matrix.models import Document, Source, Toolkit


def check_torches(document: Document) -> Iterator[ImpossibleCellError]:
    """One problem per toolkit and component that is made for another torch.

    It stands at the component where one variant has it, else at the toolkit, with the variants.
    """
    for name, toolkit in document.toolkits.items():
        for component in type(document.sources).model_fields:
            source = source_of(document.sources, component, toolkit.cuda)
            if source is None or source.torch is None or source.torch == toolkit.torch:
                continue
            variants = [
                key
                for key, variant in document.variants.items()
                if variant.toolkit == name and component in components_of(variant.components)
            ]
            if variants:
                yield _other_torch(document, name, (component, source), variants)


def _other_torch(
    document: Document, name: str, made: tuple[str, Source], variants: list[str]
) -> ImpossibleCellError:
    toolkit: Toolkit = document.toolkits[name]
    component, source = made
    tag = torch_tag(toolkit)
    if tag in document.torch_builds.get(source.torch or "", ()):
        why = f"and the toolkit brings torch {toolkit.torch}."
    else:
        why = f"which has no build for CUDA {toolkit.cuda} ({tag})."
    path: paths.Path = ("variants", variants[0], "components", component)
    if len(variants) > 1:
        path = ("toolkits", name, "torch")
        why = f"{why.rstrip('.')}: {', '.join(variants)} cannot be built."
    return ImpossibleCellError(
        f"{paths.render(path)}: {component} {source.version} needs torch {source.torch}, {why}",
        remedy=f"Choose a toolkit with torch {source.torch}, or another {component}.",
    )
