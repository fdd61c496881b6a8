# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake [-D MACHINE=<lm3s6965evb|microbit>] [-D WORK_DIR=<folder>] -P run.cmake
# Builds the firmware for one machine, or for all, runs it in QEMU, and compares what it prints with <machine>.expected.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/machines.cmake)
if(MACHINE)
  set(machines ${MACHINE})
endif()

foreach(machine IN LISTS machines)
  set(image ${WORK_DIR}/${machine}.elf)
  # The checks instantiate thirty pools: without forced inlining they take three quarters of the time to compile.
  set(objects "")
  foreach(source start main sensor_queue)
    set(flags "")
    if(source STREQUAL "main")
      set(flags -DFASTALLOC_OUTLINE)
    endif()
    run_command("compiling for ${machine}" ${compile} ${flags} -mcpu=${cpu_of_${machine}} -c ${here}/${source}.cpp
      -o ${WORK_DIR}/${machine}_${source}.o)
    list(APPEND objects ${WORK_DIR}/${machine}_${source}.o)
  endforeach()
  run_command("linking for ${machine}" ${COMPILER} -mthumb -mcpu=${cpu_of_${machine}} ${objects}
    ${link} -L${here} -T ${machine}.ld -o ${image} -lgcc)
  # -icount: time is counted in instructions (8 ns each), so that a run does not depend on what else the host does.
  set(program ${QEMU} -M ${machine} -display none -serial none -monitor none -icount shift=3
    -semihosting-config enable=on,chardev=host -chardev stdio,id=host,signal=off -kernel ${image})
  execute_process(COMMAND ${CMAKE_COMMAND} -D "PROGRAM=${program}" -D EXPECTED=${here}/${machine}.expected -P ${root}/tests/support/check_output.cmake
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${machine}: not as expected")
  endif()
  file(READ ${here}/${machine}.expected expected)
  run_command("size of ${machine}" ${SIZE} ${image})
  message("${machine} printed, as expected:\n${expected}${output}")
endforeach()
