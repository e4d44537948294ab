# ruff: noqa
import subprocess
import os

import tvm_ffi
import torch

from ..compilation_context import CompilationContext


def get_cuda_version():
    nvcc = os.path.join(os.environ["CUDA_HOME"], "bin/nvcc")
    return subprocess.check_output([nvcc, "--version"], text=True).split("release ")[1][:4]


def build_cuda_cflags(common_cflags, extra_cuda_cflags=None):
    own = extra_cuda_cflags or []
    if any(flag.startswith("-gencode=") for flag in own):
        return common_cflags + own
    return common_cflags + CompilationContext().get_nvcc_flags_list() + own
