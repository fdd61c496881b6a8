# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D COMPILER=g++ -D INCLUDE_DIR=include -D CASE=file.cpp -P check.cmake
#   // expect: <regex>        something in what the compiler prints matches
#   // expect-first: <regex>  the first error does, with the lines that belong to it
#   // expect-each: <regex>   so does every error
#   // expect-success         it compiles
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

file(READ ${CASE} text)
string(REPLACE ";" "[;]" text "${text}")  # as a regex the same, but in a list it separates nothing
string(REGEX MATCHALL "(^|\n)// expect(-first|-each)?: [^\n]+" expectations "${text}")
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

# Cut at each error.
set(rest "${output}")
set(errors 0)
string(FIND "${rest}" "error: " at)
while(NOT at EQUAL -1)
  math(EXPR at "${at} + 7")
  string(SUBSTRING "${rest}" ${at} -1 rest)
  string(FIND "${rest}" "error: " at)
  string(SUBSTRING "${rest}" 0 ${at} error_${errors})
  math(EXPR errors "${errors} + 1")
endwhile()
math(EXPR last "${errors} - 1")

foreach(line IN LISTS expectations)
  string(REGEX MATCH "expect(-first|-each)?" kind "${line}")
  string(REGEX REPLACE "^\n?// expect[a-z-]*: " "" regex "${line}")
  if(kind STREQUAL "expect" AND NOT output MATCHES "${regex}")
    fail("${CASE} does not compile, as it should, but gives another message; nothing in it matches '${regex}':\n${output}")
  elseif(NOT kind STREQUAL "expect")
    foreach(number RANGE ${last})
      if(NOT error_${number} MATCHES "${regex}")
        fail("${CASE} does not compile, as it should, but error ${number} gives another message; nothing in it matches '${regex}':\n${output}")
      endif()
      if(kind STREQUAL "expect-first")
        break()
      endif()
    endforeach()
  endif()
endforeach()
