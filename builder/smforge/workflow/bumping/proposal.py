"""The whole change of a matrix that a new release needs, worked out before anything is written."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smforge.errors import ConfigurationError, SeveralProblemsError, UsageError
from smforge.matrix.load import Matrix, load, parse
from smforge.matrix.lookup import closest
from smforge.plan.resolve import default_variables, resolve
from smforge.workflow.bumping.changes import Change, changes_between
from smforge.workflow.bumping.components import take_component
from smforge.workflow.bumping.draft import Draft, Means
from smforge.workflow.bumping.json_text import rewritten
from smforge.workflow.bumping.toolkits import take_toolkit
from smforge.workflow.bumping.torches import take_torch
from smforge.workflow.bumping.vllm_pins import take_vllm

Take = Callable[[Draft, Means, str | None], None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A matrix before and after, and what a person has to know about it."""

    before: Matrix
    after: Matrix
    text: str
    """The whole new text of the file."""
    changes: tuple[Change, ...]
    """In the order of the file; the block of bake's defaults, which repeats them, is left out."""
    remarks: tuple[str, ...]


def propose(path: Path | None, means: Means, what: str, wanted: str | None) -> Proposal:
    """Work out what a matrix has to say for a release of `what`; nothing is written.

    `what` is a component, ``torch`` or ``toolkit``; `wanted` is a version, None for the newest.
    Raises `UsageError` for a release that no index has, and `ConfigurationError` where the new
    matrix would contradict itself.
    """
    matrix = load(path)
    resolve(matrix)
    text = matrix.path.read_bytes().decode("utf-8")  # with the line ends that it has
    draft = Draft.of(matrix.path, text, matrix.document)
    _take_of(what)(draft, means, wanted)
    with _refusing(draft):
        after = _matrix(draft, text)
        if draft.content.get("variable"):
            block = default_variables(after).items()
            draft.content["variable"] = {key: {"default": value} for key, value in block}
            after = _matrix(draft, text)
        resolve(after)
    return Proposal(
        matrix,
        after,
        rewritten(text, draft.content),
        tuple(changes_between(matrix.document, after.document)),
        tuple(draft.remarks),
    )


def kinds() -> tuple[str, ...]:
    """What can be bumped."""
    return (*_TAKES,)


def _take_of(what: str) -> Take:
    try:
        return _TAKES[what]
    except KeyError:
        raise UsageError(
            f"Nothing called {what!r} can be bumped.", remedy=closest(what, _TAKES)
        ) from None


def _component(name: str) -> Take:
    return lambda draft, means, wanted: take_component(draft, means, name, wanted)


_TAKES: Mapping[str, Take] = {
    "vllm": take_vllm,
    "flashinfer": _component("flashinfer"),
    "lmcache": _component("lmcache"),
    "nixl": _component("nixl"),
    "mooncake": _component("mooncake"),
    "torch": take_torch,
    "toolkit": take_toolkit,
}


def _matrix(draft: Draft, text: str) -> Matrix:
    """The matrix that a text holds once the content of the draft is in it."""
    data = rewritten(text, draft.content).encode()
    return Matrix(draft.path, hashlib.sha256(data).hexdigest(), parse(data))


@contextlib.contextmanager
def _refusing(draft: Draft) -> Iterator[None]:
    """Say of every problem that it is one of the matrix that would be written."""
    try:
        yield
    except ConfigurationError as error:
        problems = error.problems if isinstance(error, SeveralProblemsError) else (error,)
        raise SeveralProblemsError(
            [
                type(one)(
                    f"{draft.path} stays as it is; it would say: {one.message}", remedy=one.remedy
                )
                for one in problems
            ]
        ) from None
