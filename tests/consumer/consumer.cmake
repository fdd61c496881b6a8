# SPDX-License-Identifier: MIT OR Apache-2.0
# One road from the library to a consumer's program; CMakeLists.txt beside this file gives the variables.
#   PREFIX  where the road `install` leaves the package that `find_package` and the like look for
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

# run(<what> <command>...): runs it; ends the test with its output if it fails. Leaves the output in `output`.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# expect_refused(<version>): the consumer asks for that version, and CMake says that it found only ours.
function(expect_refused version)
  execute_process(
    COMMAND ${configure_consumer} -D ROAD=find_package -D WANTED=${version} -D CMAKE_PREFIX_PATH=${PREFIX}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0 OR NOT output MATCHES "fastallocConfig.cmake, version: ${VERSION}")
    fail("version ${version} was not refused (${result}):\n${output}")
  endif()
endfunction()

function(run_program program)
  run("running ${program}" ${program})
  if(NOT output STREQUAL "42 of 4 slots\n")
    fail("the consumer's program printed '${output}'")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
string(REGEX MATCH "^[0-9]+" major ${VERSION})
set(toolchain -G ${GENERATOR} -D CMAKE_CXX_COMPILER=${COMPILER})
set(configure_consumer ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/project -B ${WORK_DIR}/build ${toolchain})

if(ROAD STREQUAL "install")
  run("configuring" ${CMAKE_COMMAND} -S ${SOURCE_DIR} -B ${WORK_DIR}/build ${toolchain}
    -D FASTALLOC_BUILD_TESTS=OFF -D FASTALLOC_BUILD_EXAMPLES=OFF -D FASTALLOC_BUILD_BENCHMARKS=OFF)
  run("building" ${CMAKE_COMMAND} --build ${WORK_DIR}/build)
  foreach(time first second)
    run("installing for the ${time} time" ${CMAKE_COMMAND} --install ${WORK_DIR}/build --prefix ${WORK_DIR}/prefix)
  endforeach()
  # A package that is moved after it was installed must still work, so no file in it may name a place of the build.
  file(REMOVE_RECURSE ${PREFIX})
  file(RENAME ${WORK_DIR}/prefix ${PREFIX})
  file(GLOB_RECURSE files ${PREFIX}/*)
  foreach(file IN LISTS files)
    file(READ ${file} text)
    foreach(place ${SOURCE_DIR} ${WORK_DIR})
      string(FIND "${text}" "${place}" position)
      if(NOT position EQUAL -1)
        fail("${file} names ${place}")
      endif()
    endforeach()
  endforeach()

elseif(ROAD STREQUAL "refuse_version")
  expect_refused(99)
  expect_refused(${major}.999)

elseif(ROAD STREQUAL "any_architecture")
  # What find_package does for a consumer with pointers of another size.
  set(PACKAGE_FIND_VERSION ${VERSION})
  set(PACKAGE_FIND_VERSION_MAJOR ${major})
  set(CMAKE_SIZEOF_VOID_P 2)
  include(${PREFIX}/share/cmake/fastalloc/fastallocConfigVersion.cmake)
  if(NOT PACKAGE_VERSION_COMPATIBLE OR PACKAGE_VERSION_UNSUITABLE)
    fail("the package is refused where pointers have 2 bytes")
  endif()

elseif(ROAD STREQUAL "plain_include")
  run("compiling" ${COMPILER} -std=c++20 -Wall -Werror -I ${SOURCE_DIR}/include
    ${CMAKE_CURRENT_LIST_DIR}/project/main.cpp -o ${WORK_DIR}/consumer)
  run_program(${WORK_DIR}/consumer)

else()
  run("configuring the consumer" ${configure_consumer} -D ROAD=${ROAD} -D WANTED=${VERSION}
    -D FASTALLOC_DIR=${SOURCE_DIR} -D CMAKE_PREFIX_PATH=${PREFIX}
    -D CMAKE_RUNTIME_OUTPUT_DIRECTORY=${WORK_DIR}/bin -D CMAKE_RUNTIME_OUTPUT_DIRECTORY_DEBUG=${WORK_DIR}/bin)
  run("building the consumer" ${CMAKE_COMMAND} --build ${WORK_DIR}/build --config Debug)
  run_program(${WORK_DIR}/bin/consumer)
endif()
