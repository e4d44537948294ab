"""One library of one kernel, compiled as torch's cpp_extension compiles, without torch."""

import os
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def gencode(word):
    """The flag that torch makes of a word of TORCH_CUDA_ARCH_LIST."""
    number = word.replace(".", "")
    return f"-gencode=arch=compute_{number},code=sm_{number}"


class WithNvcc(build_ext):
    def build_extension(self, ext):
        made = Path(self.get_ext_fullpath(ext.name))
        made.parent.mkdir(parents=True, exist_ok=True)
        nvcc = os.environ["PYTORCH_NVCC"].split()
        flags = [gencode(word) for word in os.environ["TORCH_CUDA_ARCH_LIST"].split()]
        compiled = made.with_suffix(".o")
        dependencies = ("-MD", "-MF", f"{compiled}.d")
        common = (*flags, "-Xcompiler", "-fPIC")
        source = (*common, "-c", *ext.sources, *dependencies, "-o", str(compiled))
        subprocess.run((*nvcc, *source), check=True)
        subprocess.run(("nvcc", *common, "-shared", str(compiled), "-o", str(made)), check=True)
        for path in (compiled, made.with_suffix(".o.d")):
            path.unlink()


setup(ext_modules=[Extension("lmcache.ops", ["kernel.cu"])], cmdclass={"build_ext": WithNvcc})
