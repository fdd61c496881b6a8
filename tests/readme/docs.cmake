# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D ROOT=<checkout> -D DOXYGEN=<program> -D WORK_DIR=<folder> -P docs.cmake
# Writes the site of the documentation: Doxygen has nothing to warn of, every name that the module exports is there, is used
# by an example program or in a block of a page, and nothing of detail is there.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

execute_process(COMMAND ${CMAKE_COMMAND} -D OUTPUT=${WORK_DIR} -D DOXYGEN=${DOXYGEN} -D STRICT=ON -P ${ROOT}/cmake/docs/site.cmake
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  fail("the site cannot be written:\n${output}")
endif()

set(problems "")
file(GLOB programs ${WORK_DIR}/source/programs/*.cpp)
set(used "")
foreach(program IN LISTS programs)
  file(READ ${program} text)
  string(APPEND used "${text}")
endforeach()
file(READ ${WORK_DIR}/html/namespacefastalloc.html members)
file(STRINGS ${ROOT}/include/fastalloc/fastalloc.cppm lines REGEX "^using fastalloc::")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^using fastalloc::(.*);$" "\\1" name "${line}")
  if(name STREQUAL "InSegment")  # an incomplete type
    continue()
  endif()
  set(row "")
  string(FIND "${members}" ">${name}</a>" at)
  if(at EQUAL -1)  # no more than a brief description: the row behind
    string(FIND "${members}" "<b>${name}</b>" at)
    string(SUBSTRING "${members}" ${at} -1 row)
    string(FIND "${row}" "<tr class=\"" next)
    string(SUBSTRING "${row}" ${next} 20 next)
  endif()
  if(at EQUAL -1 OR (row AND NOT next MATCHES "memdesc"))
    string(APPEND problems "\n  fastalloc::${name} is not documented: write a /// comment")
  endif()
  if(NOT used MATCHES "[^A-Za-z0-9_]${name}[^A-Za-z0-9_]")
    string(APPEND problems "\n  no example uses fastalloc::${name}: write a block in a page of cmake/docs")
  endif()
endforeach()

foreach(function allocate_for_overwrite() allocate_n() for_each() save())  # of the base
  file(READ ${WORK_DIR}/html/classfastalloc_1_1FixedPool.html text)
  string(FIND "${text}" "${function}" at)
  if(at EQUAL -1)
    string(APPEND problems "\n  the page of FixedPool does not have ${function}")
  endif()
endforeach()

file(GLOB pages ${WORK_DIR}/html/*.html)
foreach(page IN LISTS pages)
  file(READ ${page} text)
  if(text MATCHES "FASTALLOC_(UNAVAILABLE|ADVICE|ADVISES|NEEDS_[A-Z]+) *\\(" OR page MATCHES "_1_1detail_1_1")
    string(APPEND problems "\n  ${page} shows a detail: ${CMAKE_MATCH_0}")
  endif()
endforeach()
if(problems)
  fail("the site lacks something:${problems}")
endif()
