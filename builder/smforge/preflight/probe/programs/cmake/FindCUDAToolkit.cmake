# Answers for CMake's FindCUDAToolkit: a toolkit of the version asked for, with targets to link.
set(CUDAToolkit_FOUND TRUE)
set(CUDAToolkit_VERSION "${SMFORGE_CUDA_VERSION}")
string(REPLACE "." ";" _smforge_version "${SMFORGE_CUDA_VERSION}.0.0")
list(GET _smforge_version 0 CUDAToolkit_VERSION_MAJOR)
list(GET _smforge_version 1 CUDAToolkit_VERSION_MINOR)
list(GET _smforge_version 2 CUDAToolkit_VERSION_PATCH)
set(CUDAToolkit_ROOT "${SMFORGE_PROBE}/cuda")
set(CUDAToolkit_BIN_DIR "${CUDAToolkit_ROOT}/bin")
set(CUDAToolkit_INCLUDE_DIRS "${CUDAToolkit_ROOT}/include")
set(CUDAToolkit_LIBRARY_DIR "${CUDAToolkit_ROOT}/lib64")
set(CUDAToolkit_NVCC_EXECUTABLE "${CUDAToolkit_BIN_DIR}/nvcc")
foreach(_smforge_library IN ITEMS
    cudart cudart_static cudadevrt cuda_driver cublas cublas_static cublasLt cublasLt_static cufft
    cufft_static curand curand_static cusolver cusolver_static cusparse cusparse_static nvrtc
    nvrtc_static nvJitLink nvJitLink_static nvptxcompiler_static nvml nvToolsExt nvtx3 cupti culibos
    nvfatbin cuFile)
  if(NOT TARGET CUDA::${_smforge_library})
    add_library(CUDA::${_smforge_library} INTERFACE IMPORTED GLOBAL)
  endif()
endforeach()
