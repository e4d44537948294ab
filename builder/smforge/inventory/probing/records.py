"""What probes saw, as typed records: facts, without judgement.

The classes mirror the documents that `smforge.inventory.probing.programs` writes. They are plain
dataclasses; only reading a document loads pydantic (`smforge.inventory.probing.reading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, TypeVar


class Foreign:
    """The base of what is read: unknown keys and other types are errors."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "strict": True}


class How(StrEnum):
    """The circumstances in which something was examined."""

    TOGETHER = "together"
    """After others, in one process with them."""
    ALONE = "alone"
    ASSUMING = "assuming"
    """As if there were a driver: a stand-in for libcuda, and vLLM's CUDA platform."""


@dataclass(frozen=True, slots=True)
class Frame(Foreign):
    """A place in Python code."""

    file: str
    """Below the import path, where it lies there: ``vllm/model_executor/models/llama.py``."""
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Raised(Foreign):
    """An exception."""

    type: str
    message: str
    name: str | None
    """The ``name`` of an ImportError, NameError or AttributeError."""
    frames: tuple[Frame, ...]
    """Outermost first."""


Notes = TypeVar("Notes")
Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Item(Foreign, Generic[Notes]):
    """One examination of one thing."""

    item: str
    how: How
    seconds: float | None
    """None where it did not come to its end."""
    notes: Notes
    failure: tuple[Raised, ...] | None
    """What was raised and what caused that, the last exception first; None where nothing was."""
    ended: str | None
    """How the process ended, where it did not survive: ``SIGSEGV``, ``time limit of 300 s``."""

    @property
    def is_well(self) -> bool:
        """Whether it was examined to the end and raised nothing."""
        return self.failure is None and self.ended is None


@dataclass(frozen=True, slots=True)
class Document(Foreign, Generic[Notes, Settings]):
    """What one probe wrote."""

    schema_version: Literal[1]
    probe: str
    python: str
    prefix: str
    """Where that Python is installed."""
    seconds: float
    devices: tuple[str, ...]
    there: bool | None
    """Whether there was anything to examine; None where the probe could not find out."""
    packages: Mapping[str, str | None]
    """Versions of the distributions that matter; None for those that are not installed."""
    settings: Settings
    failure: tuple[Raised, ...] | None
    """Why it could not begin."""
    ended: str | None
    """How the whole probe ended, where it did not come to its end."""
    said: str
    """Its last words in that case."""
    items: tuple[Item[Notes], ...]
    not_examined: tuple[str, ...]
    """What it had found but did not come to."""

    def by_item(self) -> Mapping[str, Mapping[How, Item[Notes]]]:
        """The examinations of each thing."""
        found: dict[str, dict[How, Item[Notes]]] = {}
        for one in self.items:
            found.setdefault(one.item, {})[one.how] = one
        return found


@dataclass(frozen=True, slots=True)
class ModelNotes(Foreign):
    """A model architecture of vLLM's registry."""

    module: str | None = None
    class_name: str | None = None
    cuda: tuple[tuple[Frame, ...], ...] = ()
    """The stacks from which torch was asked to initialise CUDA."""


@dataclass(frozen=True, slots=True)
class ModelSettings(Foreign):
    """The environment that models were examined in."""

    torch_watched: bool = False
    platform: str | None = None
    """The class of platform that vLLM took: ``UnspecifiedPlatform`` where it saw no GPU."""
    requires: tuple[str, ...] = ()
    """The distributions that vLLM cannot do without, in normal form."""


@dataclass(frozen=True, slots=True)
class ExtensionNotes(Foreign):
    """A library that is linked with CUDA or torch."""

    needed: tuple[str, ...] = ()
    """DT_NEEDED."""
    module: bool = True
    """Whether Python or torch loads it; otherwise another program loads it."""
    without_driver: str | None = None
    """The loader's message where the driver alone was missing at first."""


@dataclass(frozen=True, slots=True)
class ExtensionSettings(Foreign):
    """The environment that libraries were loaded in."""

    torch: str | None = None
    """Why torch could not be imported before; None where it could."""
    driver: bool = False
    """Whether libcuda.so.1 could be loaded."""
    stand_in: bool | None = None
    """Whether a stand-in for the driver could be loaded; None where none was needed."""


@dataclass(frozen=True, slots=True)
class AssemblyNotes(Foreign):
    """An attempt to assemble a kernel. Fields that were not reached hold their defaults."""

    compiler: str = ""
    """The Triton that chose: ``triton``, or a copy's name."""
    device: str = ""
    target: str = ""
    path: str = ""
    release: str = ""
    isa: str = ""
    status: int | None = None
    """The assembler's exit status."""
    said: str = ""
    cubin_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AssemblySettings(Foreign):
    """What decides the choice of an assembler."""

    compilers: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider(Foreign):
    """A distribution of compiled FlashInfer kernels."""

    id: str
    modules: int


@dataclass(frozen=True, slots=True)
class KernelNotes(Foreign):
    """What FlashInfer found for one device."""

    providers: tuple[Provider, ...] = ()
    loaded: Mapping[str, str] = field(default_factory=dict)
    """Modules, each with the provider that it was loaded from."""
    refused: tuple[str, ...] = ()
    """Modules that no provider holds for the device."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Modules that could not be loaded, each with the reason."""


@dataclass(frozen=True, slots=True)
class ServingNotes(Foreign):
    """What came of running vLLM's command or of building its server."""

    said: str = ""
    """The beginning of its standard output."""
    routes: int | None = None
    """The routes of the server's application."""
    usable: bool | None = None
    """Whether vLLM takes FlashInfer's kernels at all."""
    experts: bool | None = None
    """Whether vLLM takes FlashInfer's kernels for mixtures of experts."""


@dataclass(frozen=True, slots=True)
class NoSettings(Foreign):
    """A probe that has none."""


Models = Document[ModelNotes, ModelSettings]
Extensions = Document[ExtensionNotes, ExtensionSettings]
Assembly = Document[AssemblyNotes, AssemblySettings]
Kernels = Document[KernelNotes, NoSettings]
Serving = Document[ServingNotes, NoSettings]
AnyDocument = Models | Extensions | Assembly | Kernels | Serving


@dataclass(frozen=True, slots=True)
class Probed:
    """Everything that the probes of one environment wrote."""

    models: Models | None = None
    extensions: Extensions | None = None
    ptxas: Assembly | None = None
    flashinfer: Kernels | None = None
    serving: Serving | None = None
    not_run: str | None = None
    """Why the probes could not be run at all; a sentence."""

    def documents(self) -> Mapping[str, AnyDocument | None]:
        """By the name of the probe; None for what is missing."""
        return {
            "models": self.models,
            "extensions": self.extensions,
            "ptxas": self.ptxas,
            "flashinfer": self.flashinfer,
            "serving": self.serving,
        }
