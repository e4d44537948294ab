"""FlashInfer's modules compiled ahead of time for one CUDA architecture.

flashinfer_jit_cache finds this package by its entry point and hands `provider()` to FlashInfer.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provider:
    """What FlashInfer asks of a provider."""

    provider_id: str
    distribution: str
    version: str
    jit_cache_dir: Path
    cuda_architectures: frozenset[str]
    modules: frozenset[str]


def provider() -> Provider:
    """This package's modules and the architectures that they hold code for."""
    here = Path(__file__).parent
    facts = json.loads((here / "provider.json").read_text(encoding="utf-8"))
    return Provider(
        provider_id=facts["provider_id"],
        distribution=facts["distribution"],
        version=facts["version"],
        jit_cache_dir=here / "jit_cache",
        cuda_architectures=frozenset(facts["cuda_architectures"]),
        modules=frozenset(facts["modules"]),
    )
