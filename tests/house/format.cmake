# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D CLANG_FORMAT=<program> -D ROOT=<checkout> -P format.cmake
# Fails where clang-format would change a source file, and where a line of one is longer than 120 columns.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

set(patterns "")
foreach(folder include tests benchmarks examples)
  foreach(ending hpp cpp h c)
    list(APPEND patterns ${ROOT}/${folder}/*.${ending})
  endforeach()
endforeach()
file(GLOB_RECURSE files ${patterns})
list(LENGTH files count)
if(count EQUAL 0)
  fail("no source files in ${ROOT}")
endif()

set(problems "")
execute_process(COMMAND ${CLANG_FORMAT} --style=file:${CMAKE_CURRENT_LIST_DIR}/../../.clang-format --dry-run -Werror ${files}
  RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  string(REGEX MATCHALL "[^\n]*error: [^\n]*" problems "${output}")
endif()

# clang-format leaves comments and long strings alone. What compile_fail reads is one line, however long.
string(REPEAT "[^\n]" 121 too_long)
foreach(file IN LISTS files)
  file(READ ${file} text)
  string(REGEX REPLACE "\n// expect[^\n]*" "" text "\n${text}")
  string(REGEX REPLACE "–|—|·|×|µ|≤|≥|…|→|²|»|ä|ö|ü" "x" text "${text}")  # one column each, some bytes
  if(text MATCHES "\n(${too_long}[^\n]*)")
    list(APPEND problems "${file}: longer than 120 columns: ${CMAKE_MATCH_1}")
  endif()
endforeach()
if(problems)
  string(JOIN "\n" problems ${problems})
  fail("apply clang-format 19, and wrap comments at 120 columns:\n${problems}")
endif()
