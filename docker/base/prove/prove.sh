#!/bin/sh
# Prove a CUDA base: compile, link against both runtimes, load, list and disassemble.
set -eu

cd "$(dirname "$0")"

fail() { echo "this base is not usable: $*" >&2; exit 1; }

# Family-specific and architecture-specific targets, those that this nvcc knows (it lists plain ones).
known=$(nvcc --list-gpu-code)
targets=
for target in sm_90a sm_100f sm_110a sm_120f sm_121a; do
    if echo "$known" | grep -qx "${target%?}"; then
        targets="$targets $target"
    fi
done
[ -n "$targets" ] || fail "nvcc knows none of the targets to prove:" $known
gencode=
for target in $targets; do
    gencode="$gencode -gencode=arch=compute_${target#sm_},code=$target"
done

# shellcheck disable=SC2086  # a list of options
nvcc -std=c++17 $gencode -c -o kernel.o kernel.cu
for runtime in static shared; do
    nvcc -cudart "$runtime" -o "$runtime" kernel.o
    "./$runtime"
done
ldd ./shared | grep 'libcudart\.so' || fail "-cudart shared does not link libcudart"
if ldd ./static | grep 'libcudart\.so'; then fail "-cudart static links libcudart"; fi

cuobjdump --list-elf static >list
for target in $targets; do
    # cuobjdump leaves the f of a family-specific target out of its lists.
    grep -q "${target%f}" list || fail "cuobjdump does not list $target"
done
cuobjdump --dump-sass static >sass
grep -q 'Function : .*scale' sass || fail "cuobjdump does not disassemble the kernel"
cuobjdump --extract-elf all static >/dev/null
for target in $targets; do
    nvdisasm ./*."${target%f}"*.cubin >sass
    grep -q EXIT sass || fail "nvdisasm does not disassemble $target"
done

echo 'int cuInit(unsigned); int main(void) { return cuInit(0); }' |
    gcc -x c - -L/usr/local/cuda/lib64/stubs -lcuda -o driver || fail "nothing links against libcuda"
echo "proven:$targets"
