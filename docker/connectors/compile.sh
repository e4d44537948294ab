#!/bin/sh
# Compile LMCache's sources in /src into /wheel, as the build arguments in the environment say. torch
# puts sccache before the host compiler by itself.
set -eu
export PYTORCH_NVCC="sccache nvcc" MAX_JOBS NVCC_THREADS=1
python /opt/tools/compile_wheel.py /src --archs "$LMCACHE_ARCHS" --cuda "$CUDA_TAG" \
    --version "$LMCACHE_VERSION+$CUDA_TAG" --out /wheel
