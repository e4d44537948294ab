# ruff: noqa
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import nvidia.nvshmem
import torch

from .compilation_context import CompilationContext
from .jit.cpp_ext import get_cuda_version


@dataclass
class JitSpec:
    name: str
    sources: list
    extra_cuda_cflags: Optional[list] = None
    like: Union[torch.Tensor, torch.Generator, None] = None


def build_jit_specs(specs, verbose):
    raise AssertionError("nothing is to be compiled")


def compile_and_package_modules(out_dir, build_dir, project_root, config, verbose):
    csrc = project_root / "csrc"
    assert (Path(nvidia.nvshmem.__path__[0]) / "lib").name == "lib"
    archs = CompilationContext().TARGET_CUDA_ARCHS
    build_dir.mkdir(parents=True)
    specs = []
    for dtype in (torch.float16, torch.float8_e4m3fn):
        generated = build_dir / f"norm_{dtype.itemsize}.cu"
        generated.write_text("// generated\n")
        specs.append(JitSpec(f"norm_{dtype.itemsize}", [csrc / "norm.cu", generated]))
    for major, minor in sorted(archs):
        if major == 12 and get_cuda_version() >= "12.9":
            flags = [f"-gencode=arch=compute_{major}{minor},code=sm_{major}{minor}"]
            sources = [csrc / "fp4.cu", csrc / "bindings.cc"]
            specs.append(JitSpec(f"fp4_{major}{minor}", sources, flags))
    if os.environ.get("SMALL_FLASHINFER_DECIDES"):
        assert torch.cuda.is_available()
    build_jit_specs(specs, verbose=verbose)
