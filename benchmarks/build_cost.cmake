# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake [-D COMPILER=<g++ or clang++>] [-D WORK_DIR=<folder>] [-D BEFORE=<checkout>] [-D SVG=<file>] [-D TYPES=<100>]
#       [-D REPETITIONS=<3>] [-D OPTIMISE=<-O2>] [-D SUBJECTS=<names>] -P build_cost.cmake
# The cost of building with the library. This script writes sources of three kinds and compiles build_cost.cpp, which compiles them in
# turns, prints tables and draws a picture:
#   header   a file that includes a header and nothing else
#   further  a file with 1 and a file with 9 pooled types, as in tests/house/weight.cmake: 8 further types cost their difference
#   program  a program of TYPES pooled types, ten to a source file
# BEFORE: an older checkout, measured in the same run.
cmake_minimum_required(VERSION 3.23)

function(set_default name)
  if(NOT DEFINED ${name})
    set(${name} ${ARGN} PARENT_SCOPE)
  endif()
endfunction()
set_default(COMPILER g++)
set_default(WORK_DIR ${CMAKE_CURRENT_BINARY_DIR}/build_cost)
set_default(JSON ${WORK_DIR}/build_cost.json)
set_default(SVG ${WORK_DIR}/build_cost.svg)
set_default(TYPES 100)
set_default(REPETITIONS 3)
set_default(OPTIMISE -O2)
cmake_path(ABSOLUTE_PATH WORK_DIR NORMALIZE)

cmake_path(SET include_now NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../include)
set(include_before ${BEFORE}/include)
set(suffix_before ", before")
set(checkouts now)
if(BEFORE)
  if(NOT EXISTS ${include_before}/fastalloc)
    message(FATAL_ERROR "BEFORE=${BEFORE} is no checkout: it has no include/fastalloc")
  endif()
  list(APPEND checkouts before)
endif()

# The ways to own objects. @T@ is the type, @P@ the object's variable, @X@ the argument. `end` ends an object that nothing else ends.
# subject | header | pool | make | address | end early | end
set(ways
  "FixedPool|fastalloc/fastalloc.hpp|fastalloc::FixedPool<@T@> pool(100)|pool.allocate(@X@)|@P@.get()|@P@.reset()|"
  "FixedPool, core.hpp|fastalloc/core.hpp|fastalloc::FixedPool<@T@> pool(100)|pool.allocate(@X@)|@P@.get()|@P@.reset()|"
  "GrowingPool|fastalloc/fastalloc.hpp|fastalloc::GrowingPool<@T@> pool(100)|pool.allocate(@X@)|@P@.get()|@P@.reset()|"
  "ThreadSafePool|fastalloc/fastalloc.hpp|fastalloc::ThreadSafePool<@T@> pool(100)|pool.allocate(@X@)|@P@.get()|@P@.reset()|"
  "ThreadLocalPool|fastalloc/fastalloc.hpp|fastalloc::ThreadLocalPool<@T@> pool(100)|pool.allocate(@X@)|@P@.get()|@P@.reset()|"
  "boost::object_pool|boost/pool/object_pool.hpp|boost::object_pool<@T@> pool(100)|pool.construct(@X@)|@P@|pool.destroy(@P@)|"
  "std::make_unique|memory||std::make_unique<@T@>(@X@)|@P@.get()|@P@.reset()|"
  "new|new||new @T@(@X@)|@P@|delete @P@|delete @P@")

# Files of the kind `further` have no look_at(), so the compiler would drop the objects of make_unique and new.
set(further_subjects FixedPool GrowingPool ThreadSafePool ThreadLocalPool boost::object_pool)

# split(<row> <variable>...): the fields of a row.
function(split row)
  string(APPEND row "|")
  foreach(name IN LISTS ARGN)
    string(REGEX MATCH "^([^|]*)[|](.*)$" row "${row}")
    set(${name} "${CMAKE_MATCH_1}" PARENT_SCOPE)
    set(row "${CMAKE_MATCH_2}")
  endforeach()
endfunction()
# expand(<text> <number of the type> <object> <argument> <result>)
function(expand text i object argument result)
  string(REPLACE "@T@" "T${i}" text "${text}")
  string(REPLACE "@P@" "${object}" text "${text}")
  string(REPLACE "@X@" "${argument}" text "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# --- writing the sources
function(write_header file)
  set(text "")
  foreach(header IN LISTS ARGN)
    string(APPEND text "#include <${header}>\n")
  endforeach()
  file(WRITE ${file} "${text}")
endfunction()

function(write_further file row count)
  split("${row}" subject header pool make)
  set(text "#include <${header}>\n")
  foreach(i RANGE 1 ${count})
    expand("${pool}" ${i} "" "" pool_of_type)
    expand("${make}" ${i} "" x made)
    string(APPEND text "struct T${i} { long v[${i}]; explicit T${i}(long x) noexcept { v[0] = x; } };\n"
      "long use${i}(long x) { ${pool_of_type}; auto h = ${made}; return h->v[0]; }\n")
  endforeach()
  file(WRITE ${file} "${text}")
endfunction()

# Types of 1 to 488 bytes, aligned to 1 to 16 (boost::object_pool bears no more), every third with a destructor.
set(elements char long int long double short long long float long)
function(type_text i result)
  math(EXPR kind "${i} % 10")
  math(EXPR length "${i} * 7 % 61 + 1")
  math(EXPR third "${i} % 3")
  list(GET elements ${kind} element)
  set(alignment "")
  if(kind EQUAL 7)
    set(alignment "alignas(16) ")
  endif()
  set(destructor "")
  if(third EQUAL 0)
    set(destructor "  ~T${i}() { ++ended; }\n")
  endif()
  string(CONCAT text "struct ${alignment}T${i} {\n  ${element} v[${length}];\n"
    "  explicit T${i}(long x) noexcept { v[0] = static_cast<${element}>(x); }\n${destructor}"
    "  long get() const { return static_cast<long>(v[0]); }\n};\n")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# A type has a pool, and three objects: the first ends before the third is made. look_at() keeps the compiler from dropping any of them.
function(function_text i row result)
  split("${row}" subject header pool make address end_early end)
  expand("${pool}" ${i} "" "" pool)
  expand("${make}" ${i} "" "x + ${i} % 7" make)
  expand("${end_early}" ${i} a "" end_early)
  set(text "long use${i}(long x) {\n  ${pool};\n  long sum = 0;\n")
  foreach(object a b c)
    expand("${address}" ${i} ${object} "" pointer)
    string(APPEND text "  auto ${object} = ${make};\n  look_at(${pointer});\n  sum += ${object}->get();\n")
    if(object STREQUAL "b")
      string(APPEND text "  ${end_early};\n")
    endif()
  endforeach()
  foreach(object b c)
    expand("${end}" ${i} ${object} "" late)
    string(APPEND text "  ${late};\n")
  endforeach()
  set(${result} "${text}  return sum;\n}\n" PARENT_SCOPE)
endfunction()

# Sets `files`.
function(write_program folder row)
  split("${row}" subject header)
  set(top "void look_at(void const*) noexcept;\nextern long ended;\n")
  set(calls "")
  set(declarations "")
  set(written ${folder}/main.cpp)
  math(EXPR last "${TYPES} - 1")
  foreach(i RANGE ${last})
    math(EXPR part "${i} / 10")
    math(EXPR place "${i} % 10")
    if(place EQUAL 0)
      set(text "#include <${header}>\n${top}")
    endif()
    type_text(${i} type)
    function_text(${i} "${row}" use)
    string(APPEND text "${type}${use}")
    string(APPEND declarations "long use${i}(long);\n")
    string(APPEND calls "  sum += use${i}(${i} % 50);\n")
    if(place EQUAL 9 OR i EQUAL last)
      file(WRITE ${folder}/part${part}.cpp "${text}")
      list(APPEND written ${folder}/part${part}.cpp)
    endif()
  endforeach()
  file(WRITE ${folder}/main.cpp "#include <cstdio>\n${top}void look_at(void const*) noexcept {}\nlong ended = 0;\n${declarations}"
    "int main() {\n  long sum = 0;\n${calls}  std::printf(\"%ld %ld\\n\", sum, ended);\n}\n")
  set(files ${written} PARENT_SCOPE)
endfunction()

# --- what there is to compile: a line a job, with a kind, a subject, an include folder and source files, separated by tabs
set(jobs "")
macro(add_job)
  string(JOIN "\t" job ${ARGN})
  string(APPEND jobs "${job}\n")
endmacro()

file(REMOVE_RECURSE ${WORK_DIR}/sources)
set(sources ${WORK_DIR}/sources)
write_header(${sources}/boost.cpp boost/pool/object_pool.hpp)
execute_process(COMMAND ${COMPILER} -E ${sources}/boost.cpp RESULT_VARIABLE no_boost OUTPUT_QUIET ERROR_QUIET)
if(no_boost)
  message("without Boost.Pool (Debian: libboost-dev)")
  list(FILTER ways EXCLUDE REGEX "^boost::")
endif()

write_header(${sources}/standard.cpp memory vector)
add_job(header "memory, vector" ${include_now} ${sources}/standard.cpp)
foreach(header pool/fixed_pool.hpp core.hpp fastalloc.hpp)
  string(MAKE_C_IDENTIFIER ${header} name)
  write_header(${sources}/${name}.cpp fastalloc/${header})
  foreach(when IN LISTS checkouts)
    if(EXISTS ${include_${when}}/fastalloc/${header})
      add_job(header "fastalloc/${header}${suffix_${when}}" ${include_${when}} ${sources}/${name}.cpp)
    endif()
  endforeach()
endforeach()
if(NOT no_boost)
  add_job(header "boost/pool/object_pool.hpp" ${include_now} ${sources}/boost.cpp)
endif()

foreach(row IN LISTS ways)
  split("${row}" subject header)
  if(DEFINED SUBJECTS AND NOT subject IN_LIST SUBJECTS)
    continue()
  endif()
  string(MAKE_C_IDENTIFIER "${subject}" name)
  foreach(when IN LISTS checkouts)
    if(header MATCHES "^fastalloc/")
      if(NOT EXISTS ${include_${when}}/${header})
        continue()
      endif()
    elseif(when STREQUAL "before")
      continue()
    endif()
    set(label "${subject}${suffix_${when}}")
    if(subject IN_LIST further_subjects)
      foreach(count 1 9)
        write_further(${sources}/${name}_${count}.cpp "${row}" ${count})
      endforeach()
      add_job(further "${label}" ${include_${when}} ${sources}/${name}_1.cpp ${sources}/${name}_9.cpp)
    endif()
    if(NOT subject STREQUAL "ThreadLocalPool")
      write_program(${sources}/${name} "${row}")
      add_job(program "${label}" ${include_${when}} ${files})
    endif()
  endforeach()
endforeach()
file(WRITE ${WORK_DIR}/jobs.txt "${jobs}")

# --- measuring
function(run_command)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}\nended with ${result}")
  endif()
endfunction()
string(MAKE_C_IDENTIFIER "runner_${COMPILER}" runner)  # it prints the name of its compiler
set(runner ${WORK_DIR}/${runner})
set(runner_sources build_cost.cpp pictures.cpp words.cpp results.cpp spawn.cpp)
list(TRANSFORM runner_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
file(GLOB runner_headers ${CMAKE_CURRENT_LIST_DIR}/*.hpp)
set(all "")  # one file, which reads the standard headers once
foreach(source IN LISTS runner_sources)
  string(APPEND all "#include \"${source}\"\n")
endforeach()
file(WRITE ${WORK_DIR}/runner.cpp "${all}")
foreach(source IN LISTS runner_sources runner_headers)
  if(${source} IS_NEWER_THAN ${runner})  # also where there is no runner
    run_command(${COMPILER} -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror ${WORK_DIR}/runner.cpp -pthread -ldl -o ${runner})
  endif()
endforeach()
file(MAKE_DIRECTORY ${WORK_DIR}/objects)
run_command(${runner} --jobs ${WORK_DIR}/jobs.txt --objects ${WORK_DIR}/objects --compiler ${COMPILER} --optimise ${OPTIMISE}
  --repetitions ${REPETITIONS} --types ${TYPES} --json ${JSON} --svg ${SVG})
