# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D README=<file> -D INCLUDE=<folder> -D COMPILER=<c++> -D COMPILER_ID=<id> [-D FLAGS=<flags>] -D WORK_DIR=<folder>
#       -D EXPECTED=<file> -P quick_start.cmake
# Compiles the first ```cpp block of the README that has a main(), with the flags of the first g++ line behind it and with our
# warnings, and compares what it prints with the file.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

file(READ ${README} rest)
set(code "")
while(NOT code MATCHES "int main\\(")
  string(FIND "${rest}" "```cpp\n" begin)
  if(begin EQUAL -1)
    fail("${README} has no \`\`\`cpp block with a main()")
  endif()
  math(EXPR begin "${begin} + 7")
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "\n```" end)
  string(SUBSTRING "${rest}" 0 ${end} code)
endwhile()

if(NOT rest MATCHES "```sh\ng\\+\\+ ([^\n]*) -I fastalloc/include main\\.cpp\n```")
  fail("${README} does not say behind the quick start how to compile main.cpp with -I fastalloc/include")
endif()
separate_arguments(stated NATIVE_COMMAND "${CMAKE_MATCH_1}")
if(NOT "-DNDEBUG" IN_LIST stated)
  fail("${README} compiles its quick start with debug checks on: with -DNDEBUG they are off")
endif()

file(MAKE_DIRECTORY ${WORK_DIR})
file(WRITE ${WORK_DIR}/main.cpp "${code}\n")
if(COMPILER_ID STREQUAL "MSVC")
  set(arguments /std:c++20 /EHsc /W4 /WX /permissive- /I${INCLUDE} main.cpp /Fe:quick_start.exe)
else()
  set(arguments ${stated} -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I${INCLUDE} main.cpp -o quick_start.exe)
endif()
separate_arguments(flags NATIVE_COMMAND "${FLAGS}")
execute_process(COMMAND ${COMPILER} ${flags} ${arguments} WORKING_DIRECTORY ${WORK_DIR}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  fail("the quick start of ${README} does not compile:\n${output}")
endif()

set(PROGRAM ${WORK_DIR}/quick_start.exe)
include(${CMAKE_CURRENT_LIST_DIR}/../support/check_output.cmake)
