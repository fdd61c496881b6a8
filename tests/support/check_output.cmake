# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D PROGRAM=<executable> -D EXPECTED=<file> -P check_output.cmake
# Runs the program and compares its standard output with the file, line by line. A line of the file that starts with `~`
# is a regular expression for the whole line; any other line must be equal.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/fail.cmake)

# take_line(<text> <line>): moves the first line of the variable <text> into the variable <line>.
function(take_line text line)
  if("${${text}}" STREQUAL "")
    set(${line} "<end of output>" PARENT_SCOPE)
    return()
  endif()
  string(FIND "${${text}}\n" "\n" end)
  string(SUBSTRING "${${text}}" 0 ${end} first)
  math(EXPR end "${end} + 1")
  string(SUBSTRING "${${text}}\n" ${end} -1 rest)
  string(REGEX REPLACE "\n$" "" rest "${rest}")
  set(${line} "${first}" PARENT_SCOPE)
  set(${text} "${rest}" PARENT_SCOPE)
endfunction()

if(NOT EXISTS ${EXPECTED})
  fail("${EXPECTED} does not exist: write down there what ${PROGRAM} must print")
endif()
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE result OUTPUT_VARIABLE actual ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  fail("${PROGRAM} ended with ${result}\n${actual}${errors}")
endif()

file(READ ${EXPECTED} expected)
set(differences "")
set(number 0)
while(NOT "${expected}${actual}" STREQUAL "")
  math(EXPR number "${number} + 1")
  take_line(expected expected_line)
  take_line(actual actual_line)
  string(REGEX REPLACE "^~" "" regex "${expected_line}")
  if(NOT "${actual_line}" STREQUAL "${expected_line}"
     AND NOT ("${expected_line}" MATCHES "^~" AND "${actual_line}" MATCHES "^${regex}$"))
    string(APPEND differences "  line ${number}\n    - ${expected_line}\n    + ${actual_line}\n")
  endif()
endwhile()
if(NOT differences STREQUAL "")
  fail("${PROGRAM} does not print what ${EXPECTED} says (- expected, + printed):\n${differences}")
endif()
