# SPDX-License-Identifier: MIT OR Apache-2.0
# Fails when SOURCE, compiled with FLAGS, reads a standard header that is not freestanding, or one of ours that HEADERS does not name.
# The standard ones that we name ourselves are freestanding in C++20, C++23 or C++26; what a library draws in with them is its affair as
# long as it is none of these.
cmake_minimum_required(VERSION 3.23)

set(hosted algorithm any chrono condition_variable cstdio deque filesystem format fstream functional future iomanip ios iostream
    istream iterator list locale map memory memory_resource mutex ostream queue random ranges regex set shared_mutex sstream stack stdexcept
    stop_token streambuf string system_error thread unordered_map unordered_set valarray vector bits/basic_string.h bits/unique_ptr.h
    bits/std_function.h bits/stl_algo.h bits/stl_vector.h)

separate_arguments(FLAGS)
separate_arguments(HEADERS)
execute_process(COMMAND ${COMPILER} ${FLAGS} -I ${ROOT}/include -M ${SOURCE} OUTPUT_VARIABLE rule ERROR_VARIABLE errors RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${COMPILER} -M failed:\n${errors}")
endif()
string(REGEX REPLACE "[ \\\\\n]+" ";" files "${rule}")
set(problems)
set(seen 0)
foreach(file IN LISTS files)
  if(file MATCHES "/include/fastalloc/(.*)$")
    math(EXPR seen "${seen} + 1")
    if(NOT CMAKE_MATCH_1 IN_LIST HEADERS AND NOT CMAKE_MATCH_1 STREQUAL "fastalloc.hpp")
      list(APPEND problems "${CMAKE_MATCH_1} is included, and not in the list of include/fastalloc/README.md")
    endif()
  elseif(file MATCHES "/c\\+\\+/(v1|[0-9.]+)/([a-z_/.]+)$" AND CMAKE_MATCH_2 IN_LIST hosted)
    list(APPEND problems "<${CMAKE_MATCH_2}> is not freestanding, and included: ${file}")
  endif()
endforeach()
if(seen LESS 20)
  list(APPEND problems "only ${seen} headers of fastalloc were seen in the compiler's answer")
endif()
if(problems)
  string(REPLACE ";" "\n  " problems "${problems}")
  message(FATAL_ERROR "what is included is not freestanding:\n  ${problems}")
endif()
message(STATUS "${seen} headers of fastalloc, all freestanding")
