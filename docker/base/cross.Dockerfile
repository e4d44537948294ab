# check=error=true
# The base with torch (named context `torch`), compiling for another CPU than its own. Device code is
# the same for every CPU; host code goes to Debian's cross compiler, and links against NVIDIA's
# libraries for the other CPU, which nvcc looks for in a directory of `targets`.
FROM torch AS cross
ARG CROSS_CPU
RUN --mount=type=secret,id=ca <<SH
    set -eu
    export DEBIAN_FRONTEND=noninteractive
    with-site-settings apt-get -qq update
    with-site-settings apt-get -qq install --no-install-recommends "g++-$CROSS_CPU-linux-gnu" >/dev/null
    rm -rf /var/lib/apt/lists/*
SH
ARG CUDA_PACKAGES
RUN --mount=type=secret,id=ca --mount=type=secret,id=pip <<SH
    set -eu
    runtime=
    for package in $CUDA_PACKAGES; do
        case $package in nvidia-cuda-runtime==*) runtime=$package ;; esac
    done
    with-site-settings pip install --quiet --no-compile --no-deps --only-binary=:all: \
        --platform "manylinux2014_$CROSS_CPU" --target /usr/local/lib/cuda-wheels-cross "$runtime"
SH
COPY lay_out_cuda.py lay_out_target.py /opt/tools/
RUN --network=none python /opt/tools/lay_out_target.py /usr/local/lib/cuda-wheels-cross "$CUDA_HOME" "$CROSS_CPU"
# The host compiler for whoever asks, nvcc included. GNU ld passes over libraries of the wrong CPU.
ENV CROSS_CPU=$CROSS_CPU \
    CC=$CROSS_CPU-linux-gnu-g++ \
    CXX=$CROSS_CPU-linux-gnu-g++ \
    FLASHINFER_EXTRA_LDFLAGS="-L/usr/local/cuda/targets/cross/lib -L/usr/local/cuda/targets/cross/lib/stubs"
COPY prove/kernel.cu /tmp/
RUN --network=none <<SH
    set -eu
    cd /tmp
    nvcc -ccbin "$CXX" -cudart shared -lcuda -o kernel kernel.cu
    readelf -h kernel | tr A-Z a-z | grep -q "machine: *$CROSS_CPU" \
        || { echo "this base does not compile for $CROSS_CPU" >&2; exit 1; }
    rm kernel kernel.cu
SH
