// What a base must be able to build: a kernel, the runtime's launch of it, and CUB's templates.
#include <cstdio>
#include <cub/cub.cuh>
#include <thrust/version.h>

__global__ void scale(float *values, float factor, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) values[i] *= factor;
}

__global__ void total(const float *values, float *sum) {
    using Reduce = cub::BlockReduce<float, 128>;
    __shared__ typename Reduce::TempStorage storage;
    float all = Reduce(storage).Sum(values[threadIdx.x]);
    if (threadIdx.x == 0) *sum = all;
}

int main() {
    int runtime = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) return 1;
    std::printf("runtime %d, thrust %d\n", runtime, THRUST_VERSION);
    // A build machine has no GPU; where there is one, the kernels are launched as well.
    int devices = 0;
    if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) {
        float *values = nullptr;
        if (cudaMalloc(&values, 129 * sizeof(float)) != cudaSuccess) return 1;
        scale<<<1, 128>>>(values, 2.0f, 128);
        total<<<1, 128>>>(values, values + 128);
        if (cudaDeviceSynchronize() != cudaSuccess) return 1;
    }
    return 0;
}
