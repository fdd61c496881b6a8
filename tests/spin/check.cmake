# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D SPIN=<spin> -D CC=<C compiler> -D MODEL=<file> -D WORK_DIR=<folder> -D MIN_STATES=<n> [-D DEFINES=<A=1,...>]
#       [-D BROKEN=<regex>] [-D MAX_MB=<n>] -P check.cmake
# Searches all states of the model. Without BROKEN, none may break an assertion. With it, the model has a fault: an
# assertion whose text matches must break. A search that was cut short, or saw fewer states than MIN_STATES, fails.
# A model with a fault breaks several assertions, and the first may say little. Its search ends at the first error; where that has
# another text, at error 100 or 1000; and where the text is not among them, when all states were searched.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)
if(NOT DEFINED MAX_MB)
  set(MAX_MB 1024)
endif()

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
function(step what)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK_DIR}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${what} fails (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

string(REPLACE "," ";" defines "${DEFINES}")
list(TRANSFORM defines PREPEND -D)
step("spin" ${SPIN} -a ${defines} ${MODEL})
# -O1: the search is as quick as with -O2, and the compiler takes half of the time. A search that ends early needs neither.
set(optimise -O1)
set(limits 0)
# Whole states take a quarter less time than compressed ones, and half as much memory again: the big models are compressed.
set(states "")
if(MAX_MB GREATER 1024)
  set(states -DCOLLAPSE)
endif()
if(DEFINED BROKEN)
  set(optimise -O0)
  set(limits 1 100 1000 0)
endif()
step("the C compiler" ${CC} ${optimise} -w -DSAFETY ${states} -DMEMLIM=${MAX_MB} -o pan pan.c)
foreach(limit IN LISTS limits)
  step("pan" ${WORK_DIR}/pan -m100000 -n -c${limit})
  set(found "${output}")
  if(DEFINED BROKEN AND limit AND found MATCHES "assertion violated [^\n]*${BROKEN}")
    message(STATUS "'${BROKEN}' is among the first ${limit} errors")
    return()
  endif()
  if(limit AND found MATCHES "errors: ([0-9]+)" AND CMAKE_MATCH_1 LESS limit)
    break()  # all states were searched
  endif()
endforeach()

foreach(cut "max search depth too small" "out of memory" "MEMLIM" "Search not completed")
  string(FIND "${found}" "${cut}" place)
  if(NOT place EQUAL -1)
    fail("the search was cut short: ${cut}\n${found}")
  endif()
endforeach()
if(NOT found MATCHES "errors: ([0-9]+)")
  fail("pan states no number of errors:\n${found}")
endif()
set(errors ${CMAKE_MATCH_1})
if(NOT found MATCHES "([0-9.e+]+) states, stored")
  fail("pan states no number of states:\n${found}")
endif()
set(states ${CMAKE_MATCH_1})

if(DEFINED BROKEN)
  if(errors EQUAL 0 OR NOT found MATCHES "assertion violated [^\n]*${BROKEN}")
    fail("no state breaks '${BROKEN}', but the model has a fault:\n${found}")
  endif()
elseif(NOT errors EQUAL 0)
  fail("${errors} errors. Run spin -a and pan in ${WORK_DIR}, then spin -t -p, to see how:\n${found}")
endif()
if(states MATCHES "[.e]" OR states LESS MIN_STATES)
  fail("${states} states: the model does less than it did. At least ${MIN_STATES} are expected:\n${found}")
endif()
message(STATUS "${states} states, ${errors} errors")
