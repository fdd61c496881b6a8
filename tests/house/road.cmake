# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D GDB=<gdb> -D PROGRAM=<house_road> [-D LESS=<n>] -P road.cmake
# How many functions of how many headers a reader steps through, from allocate() to the object, and from the handle's
# end to the free slot: without checks, statistics and optimization. LESS makes the limits lower, so that the test fails.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

# What | functions | files. They go down when the road becomes shorter.
set(limits
  "FixedPool allocate|9|6"
  "FixedPool end|7|4"
  "GrowingPool allocate|9|6"
  "GrowingPool end|7|4"
  "ThreadSafePool allocate|16|9"
  "ThreadSafePool end|13|7")

if(NOT GDB)
  if(DEFINED ENV{FASTALLOC_CI})
    fail("gdb is missing (Debian: gdb)")
  endif()
  message("skipped: gdb is missing")
  return()
endif()
execute_process(
  COMMAND ${GDB} -batch -nx -iex "set debuginfod enabled off" -x ${CMAKE_CURRENT_LIST_DIR}/road.py ${PROGRAM}
  OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(errors MATCHES "ptrace|Cannot create process|not supported in this build" AND NOT DEFINED ENV{FASTALLOC_CI})
  message("skipped: gdb cannot run the program here")
  return()
endif()
if(NOT DEFINED LESS)
  set(LESS 0)
endif()
set(problems "")
foreach(limit IN LISTS limits)
  string(REPLACE "|" ";" limit "${limit}")
  list(GET limit 0 what)
  list(GET limit 1 most_functions)
  list(GET limit 2 most_files)
  math(EXPR most_functions "${most_functions} - ${LESS}")
  if(NOT output MATCHES "\n${what}: ([0-9]+) functions, ([0-9]+) files(\n    [^\n]*)*")
    fail("gdb did not walk '${what}':\n${errors}")
  endif()
  set(walk "${CMAKE_MATCH_0}")
  message("${what}: ${CMAKE_MATCH_1} functions, ${CMAKE_MATCH_2} files")
  if(CMAKE_MATCH_1 GREATER most_functions OR CMAKE_MATCH_2 GREATER most_files)
    string(APPEND problems "\nthe limit is ${most_functions} functions, ${most_files} files:${walk}")
  endif()
endforeach()
if(problems)
  fail("the road became longer: call what does nothing by default under `if constexpr`${problems}")
endif()
