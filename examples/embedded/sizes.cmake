# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake [-D WORK_DIR=<folder>] -P sizes.cmake
# Flash and RAM of FixedPool<Sample, InlineStorage<32>, policies>, held to this table, in bytes. Prints what it measured.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/machines.cmake)

# code    at most, of the two functions that allocate and free, with what is inlined into them
# all     at most, with all that they call, but for memcpy and its like
# own     exactly, RAM of the pool besides slots and what the slot allocator keeps about them
# cpu | policies | code | all | own
set(table
  "cortex-m3|StackAllocator|160|350|68"
  "cortex-m3|FreeListAllocator|160|350|72"
  "cortex-m3|BitmapAllocator|320|1050|116"
  "cortex-m3|InterruptsOff|170|550|72"
  "cortex-m3|LockFree|100|670|60"
  "cortex-m3|CompactHandles|160|370|72"
  "cortex-m0|StackAllocator|160|370|68"
  "cortex-m0|FreeListAllocator|170|360|72"
  "cortex-m0|BitmapAllocator|350|1150|116"
  "cortex-m0|InterruptsOff|180|570|72"
  "cortex-m0|CompactHandles|160|380|72")

# number(<text> <regex> <result>): what the parentheses of the expression match in the text.
function(number text regex result)
  if(NOT text MATCHES "${regex}")
    message(FATAL_ERROR "'${regex}' is nowhere in:\n${text}")
  endif()
  set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

set(wrong "")
message("| cpu | policies | allocate + free | with all they call | pool's own RAM | .data |\n|---|---|---|---|---|---|")
foreach(row IN LISTS table)
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 cpu)
  list(GET row 1 policies)
  list(GET row 2 code_limit)
  list(GET row 3 all_limit)
  list(GET row 4 own_expected)
  set(object ${WORK_DIR}/size_${cpu}_${policies}.o)
  run_command("${cpu} ${policies}" ${compile} -mcpu=${cpu} -DPROBE_POLICIES=${policies} -c ${here}/size_probe.cpp -o ${object})
  run_command("nm" ${NM} -S --radix=d ${object})
  number("${output}" " 0*([0-9]+) T get\n" get)
  number("${output}" " 0*([0-9]+) T put\n" put)
  number("${output}" " 0*([0-9]+) [A-Za-z] size_of_pool\n" pool)
  number("${output}" " 0*([0-9]+) [A-Za-z] size_of_slots\n" slots)
  math(EXPR code "${get} + ${put}")
  math(EXPR own "${pool} - ${slots}")
  # The same in an image, without what nobody calls, and without memcpy and its like, which a program has anyhow.
  run_command("${cpu} ${policies}, linked" ${COMPILER} -mcpu=${cpu} -mthumb ${link} -Wl,--unresolved-symbols=ignore-all,-e,get,-u,put
    -L${here} -T lm3s6965evb.ld ${object} -o ${object}.elf)
  run_command("size" ${SIZE} -A ${object}.elf)
  foreach(section text data bss)
    number("${output}" "\\.${section} +([0-9]+)" ${section})
  endforeach()
  message("| ${cpu} | ${policies} | ${code} | ${text} | ${own} | ${data} |")
  if(code GREATER code_limit)
    string(APPEND wrong "\n  ${cpu} ${policies}: get() and put() have ${code} bytes; the limit is ${code_limit}")
  endif()
  if(text GREATER all_limit)
    string(APPEND wrong "\n  ${cpu} ${policies}: with all that they call they have ${text} bytes; the limit is ${all_limit}")
  endif()
  if(NOT own EQUAL own_expected)
    string(APPEND wrong "\n  ${cpu} ${policies}: the pool has ${pool} bytes, ${own} more than slots and metadata; the table says ${own_expected}")
  endif()
  if(NOT data EQUAL 0)
    string(APPEND wrong "\n  ${cpu} ${policies}: ${data} bytes are in .data, and so in flash, too; a pool begins as zeros")
  endif()
  math(EXPR handler "${bss} - ${pool}")
  if(handler LESS 0 OR handler GREATER 4)  # the error handler's address, where the linker keeps it
    string(APPEND wrong "\n  ${cpu} ${policies}: .bss has ${bss} bytes; the pool ${pool}")
  endif()
endforeach()
if(wrong)
  message(FATAL_ERROR "sizes are not those of the table in sizes.cmake:${wrong}")
endif()
