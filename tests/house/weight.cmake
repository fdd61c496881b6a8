# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D ROOT=<checkout> -D WORK_DIR=<folder> -D COMPILER=<g++> -D COMPILER_ID=<GNU> -D SIZE=<size>
#       [-D POOLS=<names>] [-D LIMIT_PERCENT=<n>] [-D MEASURED=ON] -P weight.cmake
# The weight of the library for its users, held to the two tables below. Prints a table of its measurements.
# LIMIT_PERCENT lowers every limit, so that the test of this script sees each of them broken. MEASURED: by what an earlier run left in
# WORK_DIR.
#
# Lower a limit when the code shrinks. Raise one only with a reason in the commit that raises it.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

# The cost of one more pooled type in a program: the difference between a file of 9 types and a file of 1, divided by 8.
#   text       bytes of code and constants, as `size` counts them
#   classes    classes that the compiler lays out: nearly all are instantiations of templates, and many are std's type
#              traits
#   functions  functions whose bodies the compiler builds, whether it emits, inlines or drops them
set(type_columns text classes functions)
set(type_table
  # pool | text | classes | functions
  "FixedPool|480|127|45"
  "GrowingPool|455|84|44"
  "ThreadSafePool|600|127|45"
  "ThreadLocalPool|4300|136|93")

# Lines of include/fastalloc that a header leaves to the compiler once it is preprocessed, without empty ones. Lines of
# the standard library do not count: their number depends on its version. The limit of core.hpp is the promise that was
# made for it.
set(header_table
  # header | lines
  "fastalloc.hpp|11867"
  "core.hpp|5996")

# --- The limits are those of one compiler.
function(leave_out reason)
  if(DEFINED ENV{FASTALLOC_CI} AND COMPILER_ID STREQUAL "GNU")
    fail("the limits of weight cannot be checked: ${reason}")
  endif()
  message("skipped: ${reason}")
  set(skipped ON PARENT_SCOPE)
endfunction()

execute_process(COMMAND ${COMPILER} -dumpversion OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${COMPILER} -dumpmachine OUTPUT_VARIABLE machine OUTPUT_STRIP_TRAILING_WHITESPACE)
set(skipped OFF)
if(NOT COMPILER_ID STREQUAL "GNU" OR NOT version MATCHES "^12(\\.|$)" OR NOT machine MATCHES "^x86_64-.*linux-gnu$")
  leave_out("the limits hold for g++ 12 on x86-64 Linux; this is ${COMPILER_ID} ${version} for ${machine}")
elseif(NOT SIZE)
  leave_out("the program 'size' is missing (Debian: binutils)")
endif()
if(skipped)
  return()
endif()
if(NOT DEFINED LIMIT_PERCENT)
  set(LIMIT_PERCENT 100)
endif()

function(run_command result)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT code EQUAL 0)
    string(JOIN " " command ${ARGN})
    fail("${command}\nended with ${code}\n${output}${errors}")
  endif()
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

set(problems "")
# check(<row> <column> <measured> <limit> <unit>): the measured value may be at most the limit.
macro(check row column measured limit unit)
  math(EXPR lowered "${limit} * ${LIMIT_PERCENT} / 100")
  if(${measured} GREATER ${lowered})
    string(APPEND problems "\n  ${row}, ${column}: ${measured} ${unit}; the limit is ${lowered}")
  endif()
endmacro()

function(count_matches regex file result)
  file(READ ${file} text)
  string(REGEX MATCHALL "${regex}" matches "\n${text}")
  list(LENGTH matches count)
  set(${result} ${count} PARENT_SCOPE)
endfunction()

# --- further types
# The last three options undo what Ubuntu's g++ adds to each compilation.
set(flags -std=c++20 -O2 -DNDEBUG -I ${ROOT}/include -fcf-protection=none -fno-stack-protector -U_FORTIFY_SOURCE)

# weigh(<pool> <number of types>): sets text, classes and functions.
function(weigh pool count)
  set(source "#include <fastalloc/fastalloc.hpp>\n")
  foreach(i RANGE 1 ${count})
    string(APPEND source "struct T${i} { long v[${i}]; explicit T${i}(long x) noexcept { v[0] = x; } };\n"
      "long use${i}(long x) { fastalloc::${pool}<T${i}> pool(100); auto h = pool.allocate(x); return h->v[0]; }\n")
  endforeach()
  set(base ${WORK_DIR}/${pool}_${count})
  if(NOT MEASURED)
    file(WRITE ${base}.cpp "${source}")
    run_command(output ${COMPILER} -I ${WORK_DIR}/precompiled ${flags} -c ${base}.cpp -o ${base}.o
      -fdump-lang-class=${base}.classes -fdump-tree-original=${base}.functions)
  endif()
  run_command(output ${SIZE} ${base}.o)
  if(NOT output MATCHES "\n *([0-9]+)")
    fail("'size' printed no size:\n${output}")
  endif()
  set(text ${CMAKE_MATCH_1} PARENT_SCOPE)
  count_matches("\nClass " ${base}.classes classes)
  count_matches("enabled by -tree-original\n" ${base}.functions functions)  # after the name of each function
  set(classes ${classes} PARENT_SCOPE)
  set(functions ${functions} PARENT_SCOPE)
endfunction()

if(NOT MEASURED)
  # Precompiled, the header takes no part in what differs between 9 types and 1.
  file(REMOVE_RECURSE ${WORK_DIR})
  file(MAKE_DIRECTORY ${WORK_DIR}/precompiled/fastalloc)
  run_command(output ${COMPILER} ${flags} -x c++-header ${ROOT}/include/fastalloc/fastalloc.hpp
    -o ${WORK_DIR}/precompiled/fastalloc/fastalloc.hpp.gch)
endif()
message("| per further type | bytes of text | classes | functions |\n|---|---:|---:|---:|")
foreach(row IN LISTS type_table)
  string(REPLACE "|" ";" row "${row}")
  list(POP_FRONT row pool)
  if(DEFINED POOLS AND NOT pool IN_LIST POOLS)
    continue()
  endif()
  weigh(${pool} 1)
  foreach(column IN LISTS type_columns)
    set(first_${column} ${${column}})
  endforeach()
  weigh(${pool} 9)
  set(cells "")
  foreach(column limit IN ZIP_LISTS type_columns row)
    math(EXPR further "(${${column}} - ${first_${column}} + 7) / 8")
    if(NOT further GREATER 0)
      fail("${pool}, ${column}: 9 types have ${${column}}, 1 has ${first_${column}}; nothing was measured")
    endif()
    string(APPEND cells " ${further} |")
    check(${pool} ${column} ${further} ${limit} "per further type")
  endforeach()
  message("| ${pool} |${cells}")
endforeach()

# --- preprocessed lines
# our_lines(<header> <result>): a marker before each part of the output names the file that the part comes from.
function(our_lines header result)
  set(base ${WORK_DIR}/${header})
  if(NOT MEASURED)
    file(WRITE ${base}.cpp "#include <fastalloc/${header}>\n")
    run_command(output ${COMPILER} ${flags} -E ${base}.cpp -o ${base}.ii)
  endif()
  file(READ ${base}.ii text)
  string(REGEX REPLACE "[][;]" "_" text "${text}")  # they are special in lists
  string(REGEX REPLACE "[ \t]*\n[ \t\n]*" ";" lines "${text}")
  set(count 0)
  set(ours OFF)
  foreach(line IN LISTS lines)
    if(line MATCHES "^# [0-9]+ \"([^\"]*)\"")
      string(FIND "${CMAKE_MATCH_1}" "${ROOT}/include/fastalloc/" place)
      if(place EQUAL 0)
        set(ours ON)
      else()
        set(ours OFF)
      endif()
    elseif(ours)
      math(EXPR count "${count} + 1")
    endif()
  endforeach()
  set(${result} ${count} PARENT_SCOPE)
endfunction()

message("\n| header | its preprocessed lines of fastalloc |\n|---|---:|")
foreach(row IN LISTS header_table)
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 header)
  list(GET row 1 limit)
  if(NOT EXISTS ${ROOT}/include/fastalloc/${header})
    continue()
  endif()
  our_lines(${header} lines)
  message("| ${header} | ${lines} |")
  if(lines EQUAL 0)
    fail("${header}: no line was recognised as one of fastalloc")
  endif()
  check(${header} lines ${lines} ${limit} "preprocessed lines")
endforeach()

if(problems)
  fail("the library became heavier:${problems}")
endif()
