# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D RULE=<rule> -D WORK_DIR=<folder> [-D MEASURED=<folder>] -P bad_tree.cmake
# Writes a small tree that breaks every rule, and fails unless rules.cmake names each break of the given rule. Of the
# rules with scripts of their own, `format` reads that tree, too, and `weight` what the test of that rule measured in the
# folder MEASURED, with limits that are too low.
cmake_minimum_required(VERSION 3.23)
include(${CMAKE_CURRENT_LIST_DIR}/../support/fail.cmake)

set(licence "// SPDX-License-Identifier: MIT OR Apache-2.0\n")
file(REMOVE_RECURSE ${WORK_DIR})
function(header name text)
  file(WRITE ${WORK_DIR}/include/fastalloc/${name} "${text}")
endfunction()
header(version.hpp "${licence}#define FASTALLOC_VERSION_MAJOR 1\n#define FASTALLOC_VERSION_MINOR 2\n\
#define FASTALLOC_VERSION_PATCH 3\n#define FASTALLOC_VERSION_STRING \"1.2.4\"\n")
header(fastalloc.hpp "${licence}#include <fastalloc/core.hpp>\n")
header(core.hpp "${licence}#include <fastalloc/pool/pool.hpp>\n#include <mutex>\n")
header(pool/pool.hpp "${licence}#include <functional>\n#include <fastalloc/slots/up.hpp>\n\
// #include <fastalloc/debug/only_a_comment.hpp>\n#include \"own.hpp\"\n")
header(pool/own.hpp "${licence}int x;\n\n/* a comment\n of lines */\n")
header(slots/up.hpp "${licence}#include \"../pool/own.hpp\"\n#include <fastalloc/nowhere/missing.hpp>\n")
header(misc/strange.hpp "${licence}")
set(mark TO)
header(slots/unlicensed.hpp "// ${mark}DO: write it\n")
header(misc/advice.hpp "${licence}struct C {\n  C(C const&,\n    FASTALLOC_ADVICE(\"no\")) = delete;\n};\n")

string(REPEAT "x" 120 long)
header(misc/wide.hpp "${licence}// ${long}\nint  x;\n")

set(format_breaks
  "wide.hpp:3:[0-9]+: error: code should be clang-formatted"
  "wide.hpp: longer than 120 columns: // xxx")
set(layers_breaks
  "slots/up.hpp includes fastalloc/pool/own.hpp: the layer slots may not know the layer pool"
  "slots/up.hpp includes fastalloc/nowhere/missing.hpp, which does not exist"
  "misc/strange.hpp lies in no layer")
set(core_breaks
  "pool/pool.hpp includes <functional>"
  "core.hpp includes <mutex>"
  "core has 9 lines of code. the limit is 6")
set(leftovers_breaks
  "unlicensed.hpp leaves something to do"
  "unlicensed.hpp has no SPDX line"
  "misc/advice.hpp has advice on another line"
  "FASTALLOC_VERSION_STRING is not 1.2.3")
set(weight_breaks
  "GrowingPool, text: [0-9]+ per further type. the limit is [0-9]"
  "GrowingPool, classes: [0-9]+ per further type. the limit is [0-9]"
  "GrowingPool, functions: [0-9]+ per further type. the limit is [0-9]"
  "fastalloc.hpp, lines: [0-9]+ preprocessed lines. the limit is [0-9]")

if(RULE STREQUAL format)
  set(script -D CLANG_FORMAT=${CLANG_FORMAT} -P ${CMAKE_CURRENT_LIST_DIR}/format.cmake)
elseif(RULE STREQUAL weight)
  get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)  # without a slash at the end
  set(script -D ROOT=${root} -D WORK_DIR=${MEASURED} -D MEASURED=ON -D COMPILER=${COMPILER} -D COMPILER_ID=${COMPILER_ID} -D SIZE=${SIZE}
    -D POOLS=GrowingPool -D LIMIT_PERCENT=50 -P ${CMAKE_CURRENT_LIST_DIR}/weight.cmake)
else()
  set(script -D RULE=${RULE} -D core_limit=6 -P ${CMAKE_CURRENT_LIST_DIR}/rules.cmake)
endif()
execute_process(
  COMMAND ${CMAKE_COMMAND} -D ROOT=${WORK_DIR} ${script}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
foreach(break IN LISTS ${RULE}_breaks)
  if(result EQUAL 0 OR NOT output MATCHES "${break}")
    fail("the rule '${RULE}' does not notice: ${break}\nIt printed:\n${output}")
  endif()
endforeach()
string(REGEX MATCHALL "only_a_comment|version.hpp includes|own.hpp includes" false_alarms "${output}")
if(false_alarms)
  fail("the rule '${RULE}' sees what is not there:\n${output}")
endif()
