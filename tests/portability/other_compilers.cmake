# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D ROOT=<checkout> -D COMPILER=<g++ or clang++> -D WORK_DIR=<folder> -P other_compilers.cmake
# The headers as compilers see them that are not GCC or clang, and on no known system: every macro that names those is renamed.
#   plain  the smoke program compiles, and runs
#   msvc   with _MSC_VER it compiles, by a clang with MSVC's extensions, or else with stand-ins for them; and what is left
#          of our headers then, once preprocessed, has nothing that only GCC and clang know
# MSVC itself says more, but does not run here; .github/workflows has it.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/run.cmake)

file(REMOVE_RECURSE ${WORK_DIR})
set(header ${WORK_DIR}/fastalloc_single.hpp)
run("writing the single header" ${CMAKE_COMMAND} -D OUTPUT=${header} -D FORWARD=ON -P ${ROOT}/cmake/single_header.cmake)
file(READ ${header} text)
foreach(macro __GNUC__ __clang__ __ELF__ __linux__ __unix__ __APPLE__ __GLIBC__ __OPTIMIZE__)
  string(REPLACE "${macro}" "OTHER_${macro}" text "${text}")
endforeach()
foreach(macro _MSC_VER _M_X64)
  string(REPLACE "${macro}" "AS${macro}" text "${text}")
endforeach()
file(WRITE ${header} "${text}")

set(compile ${COMPILER} -std=c++20 -pthread -Wall -Wextra -Wpedantic -Wshadow -Werror -Wno-attributes -Wno-unknown-attributes
  -Wno-unknown-pragmas -Wno-unknown-warning-option -Wno-mismatched-new-delete -I ${WORK_DIR})
set(smoke ${CMAKE_CURRENT_LIST_DIR}/smoke.cpp)
find_program(CLANG NAMES clang++-21 clang++-20 clang++-19)
if(CLANG)  # three fifths of g++'s time, and any compiler stands for another one
  list(POP_FRONT compile)
  list(PREPEND compile ${CLANG})
endif()
run("compiling, plain" ${compile} ${smoke} -o ${WORK_DIR}/smoke)
run("running, plain" ${WORK_DIR}/smoke)

set(msvc -D AS_MSC_VER=1939 -D AS_M_X64 "-D__debugbreak()=__builtin_trap()")
if(CLANG)  # it knows __forceinline, __declspec, __pragma, __assume and __FUNCSIG__
  run("compiling, as MSVC" ${compile} -fms-extensions -Wno-ignored-attributes -Wno-language-extension-token ${msvc} -fsyntax-only ${smoke})
else()
  list(APPEND msvc -D __forceinline=inline "-D__declspec(x)=" "-D__pragma(x)=" "-D__assume(x)=void()"
    "-D__FUNCSIG__=\"spelling_of<T>(void)\"")
  run("compiling, as MSVC" ${compile} ${msvc} -fsyntax-only ${smoke})
endif()

list(POP_FRONT compile)
list(PREPEND compile ${COMPILER})
set(known -D AS_MSC_VER=1939 -D AS_M_X64 "-D__pragma(x)=")
file(WRITE ${WORK_DIR}/all.cpp "#include <fastalloc_single.hpp>\n")
run("preprocessing, as MSVC" ${compile} ${known} -D NDEBUG -E ${WORK_DIR}/all.cpp -o ${WORK_DIR}/all.ii)
file(READ ${WORK_DIR}/all.ii text)
string(REGEX REPLACE "[];]" "_" text "${text}")  # they are special in lists
string(REPLACE "[" "(" text "${text}")
string(REPLACE "__builtin_offsetof" "offsetof" text "${text}")  # the standard library's macro
string(REGEX REPLACE "\n[ \t\n]+" "\n" text "${text}")
string(REGEX MATCHALL "\n# [0-9]+ \"[^\"]*fastalloc_single.hpp\"[^\n]*(\n[^#\n][^\n]*|\n#pragma[^\n]*)*" parts "\n${text}")
set(ours 0)
foreach(part IN LISTS parts)
  string(LENGTH "${part}" length)
  math(EXPR ours "${ours} + ${length}")
  if(part MATCHES "[^\n]*(__builtin_|__attribute__|gnu::|asm[ (]|__int128|__atomic_|__sync_|_Pragma|__thread)[^\n]*")
    fail("without GCC and clang, the headers have: ${CMAKE_MATCH_0}")
  endif()
  foreach(word __forceinline __declspec _mm_pause empty_bases __assume msvc::no_unique_address)
    if(part MATCHES "${word}")
      set(found_${word} ON)
    endif()
  endforeach()
endforeach()
if(ours LESS 200000)
  fail("only ${ours} bytes of the preprocessed file were recognised as ours")
endif()
foreach(word __forceinline __declspec _mm_pause empty_bases __assume msvc::no_unique_address)
  if(NOT found_${word})
    fail("with MSVC, the headers have no ${word}")
  endif()
endforeach()
