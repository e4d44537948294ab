"""The shape of versions.json: its keys and values, before they are compared with CUDA.

These models are also the source of the published JSON Schema (`smforge.matrix.schema`), so each
field carries the sentence that an editor shows beside it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field
from pydantic import Tag as ChoiceTag

from smforge.matrix.shape.externals import AnyExternal
from smforge.matrix.shape.words import (
    CudaMajor,
    CudaTag,
    CudaVersion,
    Digest,
    Distribution,
    Extension,
    ExternalName,
    FileName,
    ImageName,
    ImageRepository,
    ImageUser,
    InnerPath,
    Name,
    Origin,
    Platform,
    Selection,
    Sha256,
    Strict,
    Suite,
    Version,
    Word,
)

Words = Annotated[tuple[Word, ...], Field(min_length=1)]
ArchLists = Annotated[
    dict[Platform, Words],
    Field(min_length=1, description="One list per platform, each word in the component's grammar."),
]


class Variable(Strict):
    """One default of the definition that `docker buildx bake` loads beside docker-bake.hcl."""

    default: str


class Dispatcher(Strict):
    """A distribution that programs import, and that picks among builds for several CUDAs.

    It has the version of the build it belongs to, and reaches a wheelhouse without its requirements
    on builds for other CUDA majors.
    """

    distribution: Distribution
    files: Annotated[
        dict[FileName, Sha256], Field(min_length=1, description="File name to SHA-256.")
    ]


class Source(Strict):
    """One release of a component, with the digests of the files that may be used of it."""

    distribution: Annotated[Distribution, Field(description="Its name in the package index.")]
    version: Version
    torch: Annotated[
        Version | None, Field(description="The one torch version it is made for, if it pins one.")
    ] = None
    files: Annotated[
        dict[FileName, Sha256], Field(min_length=1, description="File name to SHA-256.")
    ]
    dispatcher: Annotated[
        Dispatcher | None,
        Field(description="What programs import it through, where it is not imported itself."),
    ] = None


SourcePerCuda = Annotated[
    dict[CudaMajor, Source],
    Field(min_length=1, description="CUDA major version to the release built for it."),
]


class VllmSource(Source):
    """A release of vLLM, with what its CMake clones."""

    externals: Annotated[
        dict[ExternalName, AnyExternal],
        Field(description="By the name that CMake's FetchContent has for it, in lower case."),
    ] = {}
    stand_ins: Annotated[
        dict[ExternalName, AnyExternal],
        Field(description="What a variant may use instead of the external of the same name."),
    ] = {}


class Sources(Strict):
    """Where each component comes from."""

    vllm: VllmSource
    flashinfer: Source
    lmcache: Source
    nixl: SourcePerCuda
    mooncake: SourcePerCuda


class RegistryBase(Strict):
    """A devel image that NVIDIA publishes."""

    image: ImageName
    digest: Annotated[
        Digest | None, Field(description="Pins the image; null when nobody has looked it up.")
    ] = None


class PackagesBase(Strict):
    """A devel base assembled from a Debian suite and NVIDIA's compiler wheels."""

    suite: Annotated[Suite, Field(description="The Debian suite of the root file system.")]
    packages: Annotated[
        dict[Distribution, Version], Field(min_length=1, description="NVIDIA's wheels, pinned.")
    ]


def _kind_of_base(value: Any) -> str:
    """Which model a base is read with: only a base from a registry has an image."""
    image = "image" in value if isinstance(value, dict) else isinstance(value, RegistryBase)
    return "[RegistryBase]" if image else "[PackagesBase]"


# The tags stand in pydantic's positions only, and load.py leaves out what begins with a bracket.
AnyBase = Annotated[
    Annotated[RegistryBase, ChoiceTag("[RegistryBase]")]
    | Annotated[PackagesBase, ChoiceTag("[PackagesBase]")],
    Discriminator(_kind_of_base),
]


class Toolkit(Strict):
    """A CUDA release, the torch that goes with it, and the bases that carry it."""

    cuda: CudaVersion
    torch: Version
    torch_build: Annotated[
        CudaTag | None,
        Field(
            description="The CUDA build of torch that is compiled with, where torch is published "
            "for an earlier release of the same major version only; that of `cuda` when absent."
        ),
    ] = None
    bases: Annotated[
        dict[Name, AnyBase],
        Field(description="The ways to get this toolkit, by the names that variants use."),
    ]
    wheel_mb: Annotated[
        float | None,
        Field(
            gt=0,
            description="The largest wheel, in millions of bytes, that the index of this CUDA "
            "release takes; a build with a larger one is refused.",
        ),
    ] = None


class FlashInfer(Strict):
    """FlashInfer's AOT kernels, in the grammar of FLASHINFER_CUDA_ARCH_LIST."""

    archs: ArchLists
    selection: Annotated[Selection, Field(description="How many of its modules are compiled.")]


class FromEither(Strict):
    """A component that is compiled from its source archive, or taken from its published wheel."""

    from_: Annotated[
        Origin,
        Field(
            alias="from",
            description="source: compiled with the lists in archs; published: the wheel of the "
            "package index, without the code that no required device needs.",
        ),
    ] = "source"
    archs: Annotated[
        ArchLists | None, Field(description="Of source, and needed there: one list per platform.")
    ] = None
    repair: Annotated[
        bool | None,
        Field(
            description="Of published: whether machine code is made from PTX where a required "
            "device has nothing else; true when absent."
        ),
    ] = None


class Vllm(FromEither):
    """vLLM's own extensions, in the grammar of TORCH_CUDA_ARCH_LIST."""

    extensions: Annotated[
        tuple[Extension, ...] | None,
        Field(
            min_length=1,
            description="Of source: only these extension targets; all when absent.",
        ),
    ] = None
    stand_ins: Annotated[
        tuple[ExternalName, ...],
        Field(
            description="Of source: the externals whose stand-in is used, by their keys in "
            "`stand_ins`."
        ),
    ] = ()


class Lmcache(FromEither):
    """LMCache's CUDA operators, in torch's grammar."""


class Prebuilt(Strict):
    """A component that is taken as published and audited, not compiled."""


class Components(Strict):
    """What a variant is made of; a component that is absent is not in it."""

    flashinfer: FlashInfer | None = None
    vllm: Vllm | None = None
    lmcache: Lmcache | None = None
    nixl: Prebuilt | None = None
    mooncake: Prebuilt | None = None


class Image(Strict):
    """The image that a variant's wheels are put into."""

    name: Annotated[
        ImageRepository,
        Field(description="Its name without a tag, with a registry where that is fixed."),
    ]
    user: Annotated[ImageUser, Field(description="Whom it runs as.")] = "vllm"


class Variant(Strict):
    """One thing that is released: a toolkit, its components, and what they must run on."""

    toolkit: Annotated[str, Field(description="A key of `toolkits`.")]
    base: Annotated[Name, Field(description="A key of the toolkit's `bases`.")]
    require: Annotated[
        dict[Platform, Words],
        Field(
            min_length=1,
            description="Per platform: devices (12.1) that every component must run on, "
            "and targets (12.1a) that at least one must embed.",
        ),
    ]
    components: Components
    policies: Annotated[
        tuple[InnerPath, ...],
        Field(
            description="Policy files for its preflight and its audits, by their path from this "
            "file's directory."
        ),
    ] = ()
    image: Annotated[
        Image | None, Field(description="Only the wheels are built when it is absent.")
    ] = None


class Document(Strict):
    """versions.json: the one place where versions and architecture lists live."""

    schema_: Annotated[
        str | None, Field(alias="$schema", description="The schema, for editors.")
    ] = None
    variable: Annotated[
        dict[str, Variable],
        Field(
            description="What the default variant gives docker-bake.hcl, for a bare "
            "`docker buildx bake`; `python -m smforge.plan.defaults` writes it."
        ),
    ] = {}
    default: Annotated[Name, Field(description="The variant built when none is named.")]
    source_date_epoch: Annotated[
        int, Field(ge=0, description="Seconds since 1970 that builds use as their date.")
    ]
    torch_builds: Annotated[
        dict[Version, tuple[CudaTag, ...]],
        Field(description="torch version to the CUDA builds that were published of it."),
    ]
    sources: Sources
    toolkits: Annotated[dict[str, Toolkit], Field(min_length=1)]
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
