"""What a user chooses about the CI pipelines of a matrix."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smforge.arch.platforms import PROCESSORS
from smforge.errors import UsageError


class Runner(StrEnum):
    """The size of the machine that a job needs; data/pipelines.json defines the sizes."""

    LIGHT = "light"
    HOSTED = "hosted"
    LARGE = "large"


class WheelIndex(StrEnum):
    """Where a pipeline puts the index of the wheels that passed."""

    ARTEFACT = "artefact"
    PAGES = "pages"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RunnerLabels:
    """The machines of one platform, by the labels that the CI system knows them by."""

    platform: str
    labels: tuple[str, ...]
    runner: Runner | None = None
    """Of which size; None for all sizes."""

    @property
    def text(self) -> str:
        """As `runner_labels` reads it."""
        size = f"{self.runner}:" if self.runner else ""
        return f"{size}{self.platform}={','.join(self.labels)}"


def runner_labels(text: str) -> RunnerLabels:
    """Read ``[SIZE:]PLATFORM=LABEL[,LABEL…]``.

    Raises `UsageError` for a size or a platform that no pipeline has, and where no label is named.
    """
    place, equals, labels = text.partition("=")
    size, colon, platform = place.rpartition(":")
    named = tuple(label for one in labels.split(",") if (label := one.strip()))
    if not equals or not named:
        raise UsageError(
            f"{text!r} names no label of a runner.", remedy="For example linux/arm64=our-arm64."
        )
    if platform not in PROCESSORS:
        raise UsageError(
            f"{text!r} is about {platform!r}, and cells are for {' and '.join(PROCESSORS)}."
        )
    if colon and size not in tuple(Runner):
        raise UsageError(f"{text!r} is about machines that are {size!r}, not {', '.join(Runner)}.")
    return RunnerLabels(platform, named, Runner(size) if colon else None)


@dataclass(frozen=True, slots=True)
class Choices:
    """How the pipelines of a matrix are made."""

    config: str | None = None
    """The matrix file as jobs find it from the checkout; None for versions.json."""
    runners: Sequence[RunnerLabels] = ()
    """They replace those of data/pipelines.json; the last one that fits counts."""
    index: WheelIndex = WheelIndex.ARTEFACT
    selection: Sequence[str] = ()
    """The variants and flags that chose the cells, as words of ``smforge matrix``."""
    store: str | None = None
    """Where jobs hand over what they made; None where the CI system keeps it."""
    after: Mapping[str, Sequence[str]] | None = None
    """The cells that a cell waits for, by name; None where no compilations are shared."""

    def labels(self, runner: Runner, platform: str) -> tuple[str, ...] | None:
        """The labels that were chosen for a machine; None where nothing was."""
        fitting = (
            one.labels
            for one in reversed(self.runners)
            if one.platform == platform and one.runner in {None, runner}
        )
        return next(fitting, None)

    @property
    def config_flag(self) -> str:
        """`` --config FILE``, as a command of a job takes it."""
        return f" --config {shlex.quote(self.config)}" if self.config else ""

    @property
    def flags(self) -> Iterator[str]:
        """What was chosen, as flags of ``smforge matrix``."""
        yield from (f"--runner {shlex.quote(one.text)}" for one in self.runners)
        if self.index is not WheelIndex.ARTEFACT:
            yield f"--wheel-index {self.index}"
        if self.store is not None:
            yield f"--store {shlex.quote(self.store)}"
        if self.after is not None:
            yield "--shared-cache"

    @property
    def store_flags(self) -> str:
        """`` --store STORE --reuse STORE``, as a command of a job takes it."""
        name = shlex.quote(self.store or "")
        return f" --store {name} --reuse {name}" if self.store else ""
