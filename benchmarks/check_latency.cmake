# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D PROGRAM=<fastalloc-bench-latency> -D PICTURES=<fastalloc-pictures> -D WORK_DIR=<folder> -P check_latency.cmake
# A tiny run: every scenario, side and operation is in the tables with figures that can be, and the picture is whole.
# Times decide nothing.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../tests/support/fail.cmake)

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
execute_process(COMMAND ${PROGRAM} --divide 300 --markdown ${WORK_DIR}/latency.md --json ${WORK_DIR}/latency.json
  RESULT_VARIABLE result OUTPUT_VARIABLE printed ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  fail("${PROGRAM} ended with ${result}\n${printed}${errors}")
endif()
file(READ ${WORK_DIR}/latency.md text)
if(NOT text STREQUAL printed)
  fail("the file of --markdown is not what was printed")
endif()

set(problems "")
set(figure "[0-9][0-9.]*")
set(pools FixedPool "FixedPool, FreeListAllocator" "FixedPool, BitmapAllocator" GrowingPool ThreadSafePool "ThreadSafePool, LockFree"
  ThreadLocalPool PoolResource)

# A line for each operation and side in each of four scenarios, with a count and five figures that rise from left to right.
foreach(side IN LISTS pools ITEMS malloc)
  foreach(operation allocate free nothing)
    string(REGEX MATCHALL "\\| ${operation}: ${side} +\\| +[1-9][0-9]* \\| +${figure} \\| +${figure} \\| +${figure} \\| +${figure} \\| +${figure} \\|\n"
      lines "${text}")
    list(LENGTH lines count)
    if(NOT count EQUAL 4)
      string(APPEND problems "\n  ${count} lines of '${operation}: ${side}', not 4")
    endif()
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^[^:]*:[^|]*\\|[^|]*\\|" "" line "${line}")
      string(REGEX MATCHALL "${figure}" figures "${line}")
      set(before 0)
      foreach(value IN LISTS figures)
        if(value LESS before)
          string(APPEND problems "\n  percentiles fall: ${line}")
        endif()
        set(before ${value})
      endforeach()
    endforeach()
  endforeach()
endforeach()

# The table of worst cases: eight columns, none without a figure in the first rows.
foreach(operation nothing allocate free)
  string(REPEAT "\\| +${figure} / ${figure} " 8 columns)
  if(NOT text MATCHES "\n\\| ${operation} +${columns}\\|\n")
    string(APPEND problems "\n  no worst case of '${operation}' in each column")
  endif()
endforeach()
foreach(operation "try_allocate, full" "allocate_batch of 64" "key\\(\\)" "get\\(key\\)" "share\\(\\)" "lock\\(\\) of a weak handle" "the last owner goes"
    "allocate_n of 8" "free of 8 adjacent")
  if(NOT text MATCHES "\n\\| ${operation} +\\|[^\n]*${figure} / ${figure}")
    string(APPEND problems "\n  no worst case of '${operation}'")
  endif()
endforeach()

execute_process(COMMAND ${PICTURES} latency ${WORK_DIR}/latency.json ${WORK_DIR}/latency.svg RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  fail("${PICTURES} ended with ${result}\n${errors}")
endif()
file(READ ${WORK_DIR}/latency.svg picture)
string(REGEX MATCHALL "<polyline class='[a-z]+-line' [^>]*points='[0-9., ]+'/>" curves "${picture}")
list(LENGTH curves count)
if(count LESS 40 OR NOT picture MATCHES "^<svg .*</svg>\n$")  # 5 curves in 8 panels, without peers that are not installed
  string(APPEND problems "\n  the picture has ${count} curves, or no end")
endif()
if(problems)
  fail("not as it should be:${problems}\n${text}")
endif()
