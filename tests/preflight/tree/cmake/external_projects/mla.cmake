include(FetchContent)
if(DEFINED ENV{MLA_SRC_DIR})
  set(MLA_SRC_DIR $ENV{MLA_SRC_DIR})
endif()
if(MLA_SRC_DIR)
  FetchContent_Declare(mla SOURCE_DIR ${MLA_SRC_DIR})
else()
  FetchContent_Declare(
    mla
    GIT_REPOSITORY https://example.invalid/mla.git
    GIT_TAG 0123abc
    GIT_PROGRESS TRUE)
endif()
FetchContent_MakeAvailable(mla)
file(READ "${mla_SOURCE_DIR}/python/interface.py" _interface)
file(WRITE "${CMAKE_SOURCE_DIR}/vllm/interface.py" "${_interface}")

supported(MLA_ARCHS "9.0;10.0f;12.0" "${CUDA_ARCHS}")
if(MLA_ARCHS)
  gencode("${mla_SOURCE_DIR}/csrc/mla.cu" "${MLA_ARCHS}")
  Python_add_library(_mla_C MODULE "${mla_SOURCE_DIR}/csrc/mla.cu")
else()
  message(STATUS "MLA will not compile: unsupported CUDA architecture ${CUDA_ARCHS}")
  add_custom_target(_mla_C)
endif()
