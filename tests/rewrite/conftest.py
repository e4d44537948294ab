"""A CUDA library of several units, compiled for several devices, and what registers its code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

FIRST = """
#include <cuda_runtime.h>
__constant__ int table[64];
__device__ int counter;
__device__ __noinline__ int helper(int x) { return x * 7 + table[x & 63]; }
template <typename T, int N> __global__ void scaled(T* out) { out[threadIdx.x] = T(helper(N)); }
template __global__ void scaled<float, 2>(float*);
template __global__ void scaled<double, 3>(double*);
extern "C" __global__ void plain(int* out) { out[0] = counter++; }
extern "C" void launch_first(float* a, double* b, int* c) {
  scaled<float, 2><<<1, 32>>>(a); scaled<double, 3><<<1, 32>>>(b); plain<<<1, 1>>>(c);
}
"""
SECOND = """
#include <cuda_runtime.h>
extern "C" __global__ void sampled(cudaTextureObject_t image, float* out) {
  out[threadIdx.x] = tex2D<float>(image, threadIdx.x, 0.5f);
}
__global__ void hidden(float* out) { extern __shared__ float s[]; out[0] = s[threadIdx.x]; }
extern "C" void launch_second(cudaTextureObject_t i, float* o) {
  sampled<<<1, 32>>>(i, o); hidden<<<1, 32, 128>>>(o);
}
"""
THIRD = """
extern "C" __global__ void only_here(int* out) { out[1] = 5; }
extern "C" void launch_third(int* o) { only_here<<<1, 1>>>(o); }
"""
RECORDER = r"""
#include <stdio.h>
#include <stdint.h>
#include <string.h>
static int count;
void **__cudaRegisterFatBinary(void *wrapper) {
  struct { uint32_t magic, version; const unsigned char *region; void *other; } *w = wrapper;
  uint64_t left; memcpy(&left, w->region + 8, 8);
  printf("fatbin %d wrapper %x region %x:", ++count, w->magic, *(const uint32_t *)w->region);
  for (const unsigned char *at = w->region + 16; left;) {
    uint16_t kind; uint32_t header, arch; uint64_t size;
    memcpy(&kind, at, 2); memcpy(&header, at + 4, 4); memcpy(&size, at + 8, 8);
    memcpy(&arch, at + 28, 4);
    printf(" %u-%u", kind, arch);
    at += header + size; left -= header + size;
  }
  printf("\n");
  return (void **)(uintptr_t)count;
}
void __cudaRegisterFatBinaryEnd(void **h) { printf("end %d\n", (int)(uintptr_t)h); }
void __cudaUnregisterFatBinary(void **h) { (void)h; }
void __cudaRegisterFunction(void **h, const char *f, char *d, const char *name, int l, void *t,
                            void *b, void *bd, void *gd, int *w) {
  printf("function %d %s %s\n", (int)(uintptr_t)h, d, name);
}
void __cudaRegisterVar(void **h, char *v, char *a, const char *name, int e, size_t s, int c,
                       int g) {
  printf("variable %d %s %zu\n", (int)(uintptr_t)h, name, s);
}
char __cudaInitModule(void **h) { return 1; }
unsigned __cudaPushCallConfiguration() { return 0; }
unsigned __cudaPopCallConfiguration() { return 0; }
int cudaLaunchKernel() { return 0; }
int __cudaLaunchKernel() { return 0; }
int __cudaGetKernel() { return 0; }
"""
GENCODE = (
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90,code=sm_90",
    "-gencode=arch=compute_120,code=sm_120",
    "-gencode=arch=compute_90,code=compute_90",
)

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build_library(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """``build_library({"a.cu": source, …}, flag, …)`` gives a shared library without a runtime."""

    def build(
        sources: dict[str, str],
        *flags: str,
        gencode: Sequence[str] = GENCODE,
        linking: Sequence[str] = (),
    ) -> Path:
        place = tmp_path_factory.mktemp("library")
        objects = []
        for name, source in sources.items():
            (place / name).write_text(source)
            command = [str(nvcc), "-c", "-Xcompiler=-fPIC", *gencode, *flags, name]
            subprocess.run([*command, "-o", f"{name}.o"], cwd=place, check=True)
            objects.append(f"{name}.o")
        if "-rdc=true" in flags:
            command = [str(nvcc), "-dlink", "-Xcompiler=-fPIC", *gencode, *objects]
            subprocess.run([*command, "-o", "device.o"], cwd=place, check=True)
            objects.append("device.o")
        linked = place / "libkernels.so"
        link = [str(nvcc), "-shared", "-cudart=none", *linking, "-o", str(linked), *objects]
        subprocess.run(link, cwd=place, check=True)
        return linked

    return build


@pytest.fixture(scope="session")
def library(build_library: Build) -> Path:
    """Three units for 8.0, 9.0, 12.0 and PTX for 9.0; the last is for 8.0 and 9.0 alone."""
    return build_library({"first.cu": FIRST, "second.cu": SECOND})


@pytest.fixture(scope="session")
def ptx_library(build_library: Build) -> Path:
    """Two units that reach devices from 9.0 on as PTX alone."""
    gencode = ("-gencode=arch=compute_80,code=[sm_80,compute_80]",)
    return build_library({"first.cu": FIRST, "third.cu": THIRD}, gencode=gencode)


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that stands for the CUDA runtime and prints what is registered with it."""
    place = tmp_path_factory.mktemp("recorder")
    (place / "recorder.c").write_text(RECORDER)
    made = place / "librecorder.so"
    command = ["gcc", "-w", "-shared", "-fPIC", "-o", str(made), str(place / "recorder.c")]
    subprocess.run(command, check=True)
    return made


@pytest.fixture(scope="session")
def registered(recorder: Path) -> Callable[[Path], list[str]]:
    """Loads a library in a process of its own, and gives what it registers."""

    def load(library: Path) -> list[str]:
        done = subprocess.run(
            (sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1], 2)", library),
            env={**os.environ, "LD_PRELOAD": str(recorder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return load
