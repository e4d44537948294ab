# Answers for CMake's FetchContent while a source tree is probed: nothing is downloaded.
#
# A dependency is, in this order, the directory the tree itself names (SOURCE_DIR, which upstream's
# *_SRC_DIR variables set), the directory given with --external (SMFORGE_EXTERNAL_<name>), or a
# skeleton: the files the tree's CMake names below the dependency, empty, which smforge has laid out
# in SMFORGE_SKELETONS.
include_guard(GLOBAL)

function(_smforge_answer name declared_source declared_binary declared_subdir)
  string(TOLOWER "${name}" key)
  if(declared_source)
    set(source "${declared_source}")
  elseif(SMFORGE_EXTERNAL_${key})
    set(source "${SMFORGE_EXTERNAL_${key}}")
  else()
    set(source "${SMFORGE_SKELETONS}/${key}")
    file(MAKE_DIRECTORY "${source}")
  endif()
  if(declared_binary)
    set(binary "${declared_binary}")
  else()
    set(binary "${CMAKE_BINARY_DIR}/_deps/${key}-build")
  endif()
  set_property(GLOBAL PROPERTY SMFORGE_${key}_SOURCE_DIR "${source}")
  set_property(GLOBAL PROPERTY SMFORGE_${key}_BINARY_DIR "${binary}")
  set_property(GLOBAL PROPERTY SMFORGE_${key}_SUBDIR "${declared_subdir}")
endfunction()

function(FetchContent_Declare name)
  cmake_parse_arguments(PARSE_ARGV 1 declared "" "SOURCE_DIR;BINARY_DIR;SOURCE_SUBDIR" "")
  _smforge_answer("${name}" "${declared_SOURCE_DIR}" "${declared_BINARY_DIR}"
                  "${declared_SOURCE_SUBDIR}")
endfunction()

macro(FetchContent_GetProperties name)
  string(TOLOWER "${name}" _smforge_key)
  get_property(${_smforge_key}_SOURCE_DIR GLOBAL PROPERTY SMFORGE_${_smforge_key}_SOURCE_DIR)
  get_property(${_smforge_key}_BINARY_DIR GLOBAL PROPERTY SMFORGE_${_smforge_key}_BINARY_DIR)
  get_property(${_smforge_key}_POPULATED GLOBAL PROPERTY SMFORGE_${_smforge_key}_POPULATED)
endmacro()

macro(FetchContent_Populate name)
  string(TOLOWER "${name}" _smforge_key)
  if(NOT "${ARGN}" STREQUAL "")
    # The form with explicit details needs no declaration, and its SOURCE_DIR is where a download
    # would go, not something that exists.
    _smforge_answer("${name}" "" "" "")
  endif()
  set_property(GLOBAL PROPERTY SMFORGE_${_smforge_key}_POPULATED TRUE)
  FetchContent_GetProperties("${name}")
endmacro()

macro(FetchContent_MakeAvailable)
  foreach(_smforge_name IN ITEMS ${ARGV})
    FetchContent_GetProperties("${_smforge_name}")
    if(NOT ${_smforge_key}_POPULATED)
      FetchContent_Populate("${_smforge_name}")
      get_property(_smforge_subdir GLOBAL PROPERTY SMFORGE_${_smforge_key}_SUBDIR)
      set(_smforge_top "${${_smforge_key}_SOURCE_DIR}/${_smforge_subdir}")
      if(EXISTS "${_smforge_top}/CMakeLists.txt")
        add_subdirectory("${_smforge_top}" "${${_smforge_key}_BINARY_DIR}")
      endif()
    endif()
  endforeach()
endmacro()
