"""Ask FlashInfer itself for its AOT modules, as it would on a device, and load what it finds.

usage: load_modules.py TARGET… >report.json

A TARGET is what FlashInfer detects for a device (12.1a). JIT compilation is disabled, so a module
that no installed provider holds for the target is refused by FlashInfer. The report says for every
target and module which provider's library was loaded, or null where FlashInfer refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def ask(target: str) -> dict[str, str | None]:
    """The answers for one target, from a process of its own: FlashInfer reads its target once."""
    environment = {**os.environ, "FLASHINFER_CUDA_ARCH_LIST": target, "FLASHINFER_DISABLE_JIT": "1"}
    done = subprocess.run(
        (sys.executable, __file__, "--here"),
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    answers: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return answers


def load_here() -> dict[str, str | None]:
    """Load every module of every installed provider for this process's target."""
    from flashinfer import aot  # noqa: PLC0415  # here its target is set
    from flashinfer.jit import env  # noqa: PLC0415
    from flashinfer.jit.core import MissingJITCacheError, jit_spec_registry  # noqa: PLC0415

    aot.register_default_modules()
    specs = jit_spec_registry.get_all_specs()
    answers: dict[str, str | None] = {}
    for name in sorted({name for one in env.FLASHINFER_AOT_PROVIDERS for name in one.modules}):
        try:
            specs[name].build_and_load()
        except MissingJITCacheError:
            answers[name] = None
        else:
            answers[name] = specs[name].aot_artifacts[0].provider_id
    return answers


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        print(json.dumps(load_here()))
    else:
        print(json.dumps({target: ask(target) for target in sys.argv[1:]}, indent=2))
