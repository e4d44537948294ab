# Answers for torch's CMake package: it enables CUDA, says which toolkit it found, and puts the
# -gencode flags of TORCH_CUDA_ARCH_LIST into CMAKE_CUDA_FLAGS. smforge works the flags out as the
# torch release that the tree asks for would (smforge.preflight.probe.torch_flags) and passes them in.
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# torch ignores CMAKE_CUDA_ARCHITECTURES and switches it off: CMake adds no flags of its own.
set(CMAKE_CUDA_ARCHITECTURES OFF)
if("${CMAKE_CUDA_STANDARD}" STREQUAL "")
  set(CMAKE_CUDA_STANDARD "${CMAKE_CXX_STANDARD}")
endif()

set(CUDA_FOUND TRUE)
set(CUDA_VERSION "${CUDAToolkit_VERSION_MAJOR}.${CUDAToolkit_VERSION_MINOR}")
set(CUDA_VERSION_MAJOR "${CUDAToolkit_VERSION_MAJOR}")
set(CUDA_VERSION_MINOR "${CUDAToolkit_VERSION_MINOR}")
set(CUDA_VERSION_STRING "${CUDA_VERSION}")
set(CUDA_TOOLKIT_ROOT_DIR "${CUDAToolkit_ROOT}")
set(CUDA_INCLUDE_DIRS "${CUDAToolkit_INCLUDE_DIRS}")
set(CUDA_NVCC_EXECUTABLE "${CUDAToolkit_NVCC_EXECUTABLE}")

string(APPEND CMAKE_CUDA_FLAGS " ${SMFORGE_GENCODE}")

get_filename_component(TORCH_INSTALL_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../../" ABSOLUTE)
set(TORCH_INCLUDE_DIRS "${SMFORGE_TORCH_INCLUDE}")
set(TORCH_LIBRARIES torch)
set(TORCH_CXX_FLAGS "")
foreach(_smforge_library IN ITEMS torch torch_library torch_cpu torch_cuda c10 c10_cuda)
  if(NOT TARGET ${_smforge_library})
    add_library(${_smforge_library} INTERFACE IMPORTED GLOBAL)
  endif()
endforeach()
set(TORCH_FOUND TRUE)
set(Torch_FOUND TRUE)
