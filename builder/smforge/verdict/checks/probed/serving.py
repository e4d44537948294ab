"""Does vLLM's command work, up to the missing GPU, and does it find what it would call?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from smforge.findings import Finding
from smforge.inventory.probing.records import (
    How,
    Item,
    Kernels,
    Serving,
    ServingNotes,
)
from smforge.verdict.checks.probed.wording import is_late, raised
from smforge.verdict.data import table
from smforge.verdict.rules import FLASHINFER_IN_PART, SERVER_NOT_USABLE

_START = "vllm serve"
"""What must stop at the missing GPU, and at nothing before it."""
Examinations = Mapping[How, Item[ServingNotes]]


def check_serving(document: Serving, kernels: Kernels | None) -> Iterator[Finding]:
    """What fails for another reason than the missing GPU, and FlashInfer's kernels in part."""
    for item, examinations in document.by_item().items():
        if (why := _failure(item, examinations)) is not None:
            yield SERVER_NOT_USABLE.finding(
                f"{item} fails: {why}.",
                remedy="Correct what the message names.",
            )
    if kernels is not None:
        yield from _about_flashinfer(document, kernels)


def _failure(item: str, examinations: Examinations) -> str | None:
    """Why something fails; None where it works, or where the GPU is all that is missing."""
    plain = examinations.get(How.ALONE)
    assuming = examinations.get(How.ASSUMING)
    if plain is None or plain.is_well or is_late(plain.ended):
        return None
    if item != _START and assuming is not None and assuming.is_well:
        return None
    if _is_about_gpu(plain) and assuming is not None and assuming.is_well:
        return None
    decisive = plain if item == _START or assuming is None else assuming
    if decisive.ended is not None:
        return f"it ends with {decisive.ended}"
    return raised(decisive.failure or ())


def _is_about_gpu(item: Item[ServingNotes]) -> bool:
    pattern = re.compile(table("probes")["missing_gpu"])
    return any(pattern.search(one.message) for one in item.failure or ())


def _about_flashinfer(document: Serving, kernels: Kernels) -> Iterator[Finding]:
    notes = next((one.notes for one in document.items if one.notes.usable is not None), None)
    modules = {name for one in kernels.items for name in one.notes.loaded}
    if notes is None or not modules:
        return
    if not notes.usable:
        yield FLASHINFER_IN_PART.finding(
            f"FlashInfer's kernels are installed ({len(modules)} modules), and vLLM does not use "
            "them: it asks for nvcc and ninja, for the package flashinfer-cubin, or for "
            "VLLM_HAS_FLASHINFER_CUBIN=1.",
            remedy="Set the variable where the compiled modules are those that your models need.",
        )
    elif notes.experts and not any(re.search(table("probes")["experts"], one) for one in modules):
        yield FLASHINFER_IN_PART.finding(
            "vLLM takes FlashInfer's kernels for mixtures of experts wherever it can, and none of "
            "the installed modules has them: such a model stops when it is loaded.",
            remedy="Serve it with --moe-backend triton (bf16, FP8) or --moe-backend marlin (FP4), "
            "or compile FlashInfer with the selection full.",
        )
