# ruff: noqa
"""An arch list in the manner of FlashInfer's."""

import os


class CompilationContext:
    def __init__(self):
        self.TARGET_CUDA_ARCHS = set()
        for arch in os.environ["FLASHINFER_CUDA_ARCH_LIST"].split(" "):
            major, minor = arch.split(".")
            self.TARGET_CUDA_ARCHS.add((int(major), minor))

    def get_nvcc_flags_list(self, supported_major_versions=None):
        archs = [
            one
            for one in self.TARGET_CUDA_ARCHS
            if supported_major_versions is None or one[0] in supported_major_versions
        ]
        if not archs:
            raise RuntimeError(
                f"No supported CUDA architectures found for {supported_major_versions}."
            )
        return [f"-gencode=arch=compute_{a}{b},code=sm_{a}{b}" for a, b in sorted(archs)]
