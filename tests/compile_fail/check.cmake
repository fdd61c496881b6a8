# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D COMPILER=g++ -D INCLUDE_DIR=include -D CASE=file.cpp -P check.cmake
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

file(READ ${CASE} text)
string(REPLACE ";" "[;]" text "${text}")  # as a regex the same, but in a list it separates nothing
string(REGEX MATCHALL "(^|\n)// expect: [^\n]+" expectations "${text}")
string(REGEX MATCH "(^|\n)// expect-success" success "${text}")
if(NOT expectations AND NOT success)
  fail("${CASE} says neither '// expect: <regex>' nor '// expect-success'")
endif()

execute_process(
  COMMAND ${COMPILER} -std=c++20 -fsyntax-only -Werror=unused-result -I ${INCLUDE_DIR} ${CASE}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(success)
  if(NOT result EQUAL 0)
    fail("${CASE} must compile, but:\n${output}")
  endif()
  return()
endif()
if(result EQUAL 0)
  fail("${CASE} compiles, but must not")
endif()
foreach(line IN LISTS expectations)
  string(REGEX REPLACE "^\n?// expect: " "" regex "${line}")
  if(NOT output MATCHES "${regex}")
    fail("${CASE} does not compile, as it should, but gives another message; nothing in it matches '${regex}':\n${output}")
  endif()
endforeach()
