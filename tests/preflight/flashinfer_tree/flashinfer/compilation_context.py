# ruff: noqa
"""An arch list in the manner of FlashInfer's."""

import os


class CompilationContext:
    def __init__(self):
        self.TARGET_CUDA_ARCHS = set()
        for arch in os.environ["FLASHINFER_CUDA_ARCH_LIST"].split(" "):
            major, minor = arch.split(".")
            self.TARGET_CUDA_ARCHS.add(self._normalize(int(major), minor))

    @staticmethod
    def _normalize(major, minor):
        """The suffix that an element without one gets; all of 12.x is one target here."""
        if minor[-1].isalpha() or major < 9:
            return (major, minor)
        if major < 12:
            return (major, minor + "a")
        from flashinfer.jit.cpp_ext import get_cuda_version

        if get_cuda_version() < "12.9":
            raise RuntimeError("SM 12.x requires CUDA >= 12.9")
        return (major, "0f")

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
