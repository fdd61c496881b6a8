# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D PROGRAM=<fastalloc-pictures> -D RESULTS=<folder> -D OUTPUT=<folder> [-D CHECK=ON] -P pictures.cmake
# Draws every picture of RESULTS from the results beside it. CHECK: the pictures in RESULTS are these, byte for byte (so that
# no figure in them was typed), and follow light and dark.
cmake_minimum_required(VERSION 3.23)

file(MAKE_DIRECTORY ${OUTPUT})
set(problems "")
foreach(picture headline=single_thread single_thread threads many containers ownership build_cost latency)
  string(REGEX REPLACE "=.*" "" name ${picture})
  string(REGEX REPLACE ".*=" "" results ${picture})
  execute_process(COMMAND ${PROGRAM} ${name} ${RESULTS}/${results}.json ${OUTPUT}/${name}.svg RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${name}.svg cannot be drawn:\n${errors}")
  endif()
  if(CHECK)
    file(READ ${OUTPUT}/${name}.svg drawn)
    file(READ ${RESULTS}/${name}.svg kept)
    if(NOT drawn STREQUAL kept)
      string(APPEND problems "\n  ${RESULTS}/${name}.svg is not what ${results}.json says: build the target pictures")
    endif()
    if(NOT drawn MATCHES "^<svg [^>]*width='830' .*@media \\(prefers-color-scheme:dark\\){\n\\.paper{fill:#0.*</svg>\n$" OR drawn MATCHES "[' ,>]-?(nan|inf)[' ,<]")
      string(APPEND problems "\n  ${name}.svg is not 830 px wide, or does not follow light and dark")
    endif()
  endif()
endforeach()
if(problems)
  message(FATAL_ERROR "pictures:${problems}")
endif()
