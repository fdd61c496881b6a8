# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D SEEING=<seeing> -D GAME_LOOP=<game_loop> -D DOCS=<cmake/docs> -D WORK_DIR=<folder> -P pictures.cmake
# The examples draw the pictures of the documents: occupancy.svg and game_loop.svg are what they write, and trace.cmake
# finds every event of their trace.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../tests/support/fail.cmake)
file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
execute_process(COMMAND ${SEEING} ${WORK_DIR} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${GAME_LOOP} --frames ${WORK_DIR} COMMAND_ERROR_IS_FATAL ANY)
foreach(pair tasks=occupancy frame_210=game_loop)
  string(REGEX REPLACE "=.*" "" written ${pair})
  string(REGEX REPLACE ".*=" "" name ${pair})
  file(READ ${WORK_DIR}/${written}.svg drawn)
  file(READ ${DOCS}/${name}.svg kept)
  foreach(text drawn kept)  # compilers name the type in different ways
    string(REGEX REPLACE "slots of type .* in 1 block" "slots in 1 block" ${text} "${${text}}")
  endforeach()
  if(NOT drawn STREQUAL kept)
    fail("${DOCS}/${name}.svg is not what the example draws: copy ${WORK_DIR}/${written}.svg")
  endif()
endforeach()
set(TRACE ${WORK_DIR}/jobs.trace.json)
set(OUTPUT ${WORK_DIR}/trace.svg)
include(${CMAKE_CURRENT_LIST_DIR}/../cmake/docs/trace.cmake)
file(READ ${OUTPUT} drawn)
if(NOT drawn MATCHES "Trace of the pool jobs<.* (69[1-9]|[7-9][0-9][0-9]) events\\.<.*>thread 4<.*class='given' d='M.*class='ended' d='M.*class='failed' d=''/>")
  fail("${OUTPUT} does not show the events of the trace")
endif()
