# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D LLDB=<lldb> -D PROGRAM=<inspected> -D SCRIPT=<fastalloc_lldb.py> -P lldb.cmake
# The summaries that LLDB shows with the script.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/expect_lines.cmake)
if(NOT LLDB)
  message("skipped: lldb is missing")
  return()
endif()
# Debian's LLDB 14 looks for its Python module in a folder that does not exist.
file(REAL_PATH ${LLDB} real)
cmake_path(GET real PARENT_PATH folder)
file(GLOB modules ${folder}/../lib/python3.*/*-packages/lldb/__init__.py)
foreach(module IN LISTS modules)
  cmake_path(GET module PARENT_PATH folder)
  cmake_path(GET folder PARENT_PATH folder)
  set(ENV{PYTHONPATH} ${folder})
endforeach()
set(expected
  "fixed = 2 of 10 slots in use, in 1 block"
  "a = to ADDRESS"
  "b = empty"
  "weak = to ADDRESS"
  "key = of slot 2, generation NUMBER"
  "nothing = of nothing"
  "small = of slot 1, generation NUMBER"
  "statistics = \"sparks\": 2 of 10 slots in use, peak 3, 3 allocations, 0 failures"
  "growing = 5 of 8 slots in use, in 3 blocks"
  "batch = 2 objects"
  "unchecked = 1 of 4 slots in use, in 1 block"
  "bits = 3 of 4 slots in use, in 1 block"
  "run = 3 objects"
  "closed = no block yet"
  "error = double_free: returned twice")
set(commands "")
foreach(line IN LISTS expected)
  string(REGEX MATCH "^[^ ]+" name "${line}")
  list(APPEND commands -o "frame variable ${name}")
endforeach()
execute_process(
  COMMAND ${LLDB} --batch --no-lldbinit -o "command script import ${SCRIPT}" -o "breakpoint set -n stop_here" -o run
          -o "frame select 1" ${commands} ${PROGRAM}
  OUTPUT_VARIABLE output ERROR_VARIABLE errors TIMEOUT 100)
if(NOT output MATCHES "stop reason = breakpoint" OR errors MATCHES "No module named 'lldb")
  message("skipped: lldb cannot run the program or has no Python here\n${errors}")
  return()
endif()
without_numbers(output)
expect_lines(lldb " " "")
