#!/bin/sh
# Compile /src into /wheel, as the build arguments in the environment say. vLLM's build takes sccache
# where it finds it.
set -eu

version=
if [ "$VLLM_FROM" = sdist ]; then
    version=$VLLM_VERSION
fi
# vLLM divides its jobs by the threads; here the two are independent.
jobs=$((MAX_JOBS * NVCC_THREADS))
export TORCH_CUDA_ARCH_LIST="$VLLM_ARCHS" NVCC_THREADS MAX_JOBS="$jobs"

python /opt/tools/build_wheel.py --version "$version" --cuda-tag "$CUDA_TAG" \
    --extensions "$VLLM_EXTENSIONS" --externals /externals --out /wheel
