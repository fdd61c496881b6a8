# SPDX-License-Identifier: MIT OR Apache-2.0
# Compares `output` of a debugger with the list `expected`; addresses and generations differ from run to run.
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

# without_numbers(<variable>): ADDRESS for each address in its text, and NUMBER for each generation.
function(without_numbers variable)
  string(REGEX REPLACE "0x[0-9a-f]+" "ADDRESS" text "${${variable}}")
  string(REGEX REPLACE "generation [0-9]+" "generation NUMBER" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# expect_lines(<debugger> <before> <after>): each of `expected`, between these texts, is in `output`.
function(expect_lines debugger before after)
  set(problems "")
  foreach(line IN LISTS expected)
    string(FIND "\n${output}\n" "${before}${line}${after}" place)
    if(place EQUAL -1)
      string(APPEND problems "\n  expected: ${line}")
    endif()
  endforeach()
  if(problems)
    fail("${debugger} shows something else:${problems}\n\nall of it:\n${output}\n${errors}")
  endif()
endfunction()
