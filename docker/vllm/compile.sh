#!/bin/sh
# Compile /src into /wheel with ccache, as the build arguments in the environment say.
set -eu

# nvcc's own lists of dependencies spare a run of the preprocessor. They leave out headers that only
# device code includes, so what the sources are is part of every key.
if [ "$VLLM_FROM" = sdist ]; then
    CCACHE_NAMESPACE=$VLLM_SHA256
    version=$VLLM_VERSION
else
    CCACHE_NAMESPACE=$(cd /src && find csrc -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    version=
fi
export CCACHE_NAMESPACE CCACHE_DEPEND=1 CCACHE_NOHASHDIR=1
export CCACHE_DIR=/var/cache/ccache CCACHE_MAXSIZE=10G
# How many threads nvcc uses has no part in what it writes.
export CCACHE_IGNOREOPTIONS="--threads=*"
# Without this the objects carry the compiler's process ids, and no two builds are the same.
export CUDAFLAGS=--objdir-as-tempdir
# vLLM divides its jobs by the threads; here the two are independent.
jobs=$((MAX_JOBS * NVCC_THREADS))
export TORCH_CUDA_ARCH_LIST="$VLLM_ARCHS" NVCC_THREADS MAX_JOBS="$jobs"

ccache --zero-stats >/dev/null
python /opt/tools/build_wheel.py --version "$version" --cuda-tag "$CUDA_TAG" \
    --extensions "$VLLM_EXTENSIONS" --externals /externals --out /wheel
ccache --show-stats --verbose | sed 's|://[^ ]*@|://|g'
