# SPDX-License-Identifier: MIT OR Apache-2.0
# The target single_header writes build/.../fastalloc_single.hpp. With FASTALLOC_SINGLE_HEADER, everything that is built here,
# the tests above all, includes that file instead of the headers, by files of their names; nothing is installed then.
set(single_header ${CMAKE_COMMAND} -D OUTPUT=${PROJECT_BINARY_DIR}/single/fastalloc_single.hpp)
add_custom_target(single_header
  COMMAND ${single_header} -P ${CMAKE_CURRENT_LIST_DIR}/single_header.cmake
  COMMENT "Writing ${PROJECT_BINARY_DIR}/single/fastalloc_single.hpp")

# fastalloc_write_single_header(<variable>): writes it now, and again whenever a header changes; sets the folder to include.
function(fastalloc_write_single_header result)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${headers} ${PROJECT_SOURCE_DIR}/cmake/single_header.cmake)
  execute_process(COMMAND ${single_header} -D FORWARD=ON -P ${PROJECT_SOURCE_DIR}/cmake/single_header.cmake COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${PROJECT_BINARY_DIR}/single PARENT_SCOPE)
endfunction()

option(FASTALLOC_SINGLE_HEADER "Build tests and examples with the single header" OFF)
if(FASTALLOC_SINGLE_HEADER)
  fastalloc_write_single_header(include_dir)
  file(GLOB_RECURSE headers ${include_dir}/*.hpp)
  set(FASTALLOC_INSTALL OFF)
endif()
