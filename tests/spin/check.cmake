# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D SPIN=<spin> -D CC=<C compiler> [-D QUICK_CC=<C compiler>] -D MODEL=<file> -D WORK_DIR=<folder> -D MIN_STATES=<n>
#       [-D DEFINES=<A=1,...>] [-D BROKEN=<regex>] [-D MAX_MB=<n>] -P check.cmake
# Searches all states of the model. Without BROKEN, none may break an assertion. With it, the model has a fault: an
# assertion whose text matches must break. A search that was cut short, or saw fewer states than MIN_STATES, fails.
# A model with a fault breaks several assertions. Its search passes over those with another text, and over ends that are not valid; it
# ends at the first error, or, where that is an index out of bounds, at error 1000, or when all states were searched.
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
# gcc takes 0.5 s with -O0, 1 to 3 s with -O1, as long with -O2 again; the search of a million states 1.5 to 3 s, and half of
# that with -O1.
if(NOT DEFINED BROKEN AND NOT MIN_STATES LESS 1000000)
  set(compile ${CC} -O1)
elseif(QUICK_CC)
  set(compile ${QUICK_CC} -O0)
else()
  set(compile ${CC} -O0)
endif()
set(order "")
# Whole states take a quarter less time than compressed ones, and half as much memory again: the big models are compressed.
set(states "")
if(MAX_MB GREATER 1024)
  set(states -DCOLLAPSE)
endif()
if(DEFINED BROKEN)
  set(order -DT_REVERSE)  # the last transition of a process first: most faults are found in a tenth of the states
  file(READ ${WORK_DIR}/pan.m text)
  string(REGEX REPLACE "\tspin_assert(\\([^\n]*, \"[^\"\n]*${BROKEN}[^\"\n]*\", II, tt, t\\))" "\texpected_assert\\1" text "${text}")
  string(REPLACE "\tspin_assert(" "\tif (0) spin_assert(" text "${text}")
  string(REPLACE "\texpected_assert(" "\tspin_assert(" text "${text}")
  file(WRITE ${WORK_DIR}/pan.m "${text}")
endif()
step("the C compiler" ${compile} -w -DSAFETY ${states} ${order} -DMEMLIM=${MAX_MB} -o pan pan.c)
if(DEFINED BROKEN)
  foreach(limit 1 1000 0)
    step("pan" ${WORK_DIR}/pan -m100000 -n -E -w20 -c${limit})  # a small table for the states: fewer pages to touch
    if(output MATCHES "assertion violated [^\n]*${BROKEN}")
      message(STATUS "'${BROKEN}' breaks")
      return()
    endif()
  endforeach()
  fail("no state breaks '${BROKEN}', but the model has a fault:\n${output}")
endif()
step("pan" ${WORK_DIR}/pan -m100000 -n)
set(found "${output}")

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

if(NOT errors EQUAL 0)
  fail("${errors} errors. Run spin -a and pan in ${WORK_DIR}, then spin -t -p, to see how:\n${found}")
endif()
if(states MATCHES "[.e]" OR states LESS MIN_STATES)
  fail("${states} states: the model does less than it did. At least ${MIN_STATES} are expected:\n${found}")
endif()
message(STATUS "${states} states, ${errors} errors")
