# SPDX-License-Identifier: MIT OR Apache-2.0
# What run.cmake and sizes.cmake share: the machines, and how firmware is compiled.
set(machines lm3s6965evb microbit)
set(cpu_of_lm3s6965evb cortex-m3)
set(cpu_of_microbit cortex-m0)

foreach(tool COMPILER:arm-none-eabi-g++ QEMU:qemu-system-arm NM:arm-none-eabi-nm SIZE:arm-none-eabi-size)
  string(REPLACE ":" ";" tool ${tool})
  list(GET tool 0 variable)
  list(GET tool 1 program)
  find_program(${variable} ${program})
  if(NOT ${variable})
    message(FATAL_ERROR "${program} is not there; on Debian and Ubuntu: apt-get install gcc-arm-none-eabi libstdc++-arm-none-eabi-dev libnewlib-dev qemu-system-arm")
  endif()
endforeach()

set(here ${CMAKE_CURRENT_LIST_DIR})
cmake_path(SET root NORMALIZE ${here}/../..)
if(NOT WORK_DIR)
  set(WORK_DIR ${root}/build/embedded)
endif()
file(MAKE_DIRECTORY ${WORK_DIR})

set(compile ${COMPILER} -std=c++20 -Os -DNDEBUG -mthumb -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics
  -ffunction-sections -fdata-sections -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I${root}/include -I${root}/tests)
# Nothing but the compiler's own helpers, as for division on a Cortex-M0.
set(link -nostartfiles -nostdlib -Wl,--gc-sections,--fatal-warnings)

# run_command(<what> <command>...): sets `output`; ends the script where the command fails.
function(run_command what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what}: ended with ${result}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()
