# SPDX-License-Identifier: MIT OR Apache-2.0
# run(<what> <command>...): runs it; ends the test with its output if it fails. Leaves the output in `output`.
include(${CMAKE_CURRENT_LIST_DIR}/fail.cmake)
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()
