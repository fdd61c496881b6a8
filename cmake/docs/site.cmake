# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake [-D OUTPUT=<folder>] [-D DOXYGEN=<program>] [-D STRICT=ON] -P site.cmake
# Writes the documentation as a site: <folder>/html/index.html, by default build/docs of the checkout. STRICT: a warning
# of Doxygen is an error.
#
# Doxygen reads copies of headers and pages, in <folder>/source, in which
#   * inline namespaces are left out, and bases that have public functions (BasicPool) are taken out of `detail`
#   * functions that only exist to be refused with advice are left out
#   * "Effects:", "Returns:" and so on are paragraphs with a title, and the comment on top of a file documents the file
#   * links between pages lead to pages of the site, with their pictures; links to other files of the repository are text
cmake_minimum_required(VERSION 3.23)

set(here ${CMAKE_CURRENT_LIST_DIR})
get_filename_component(root ${here}/../.. ABSOLUTE)
if(NOT OUTPUT)
  set(OUTPUT ${root}/build/docs)
endif()
get_filename_component(OUTPUT ${OUTPUT} ABSOLUTE)
if(NOT DOXYGEN)
  find_program(DOXYGEN doxygen)
endif()
if(NOT DOXYGEN)
  message(FATAL_ERROR "doxygen is missing: apt-get install doxygen, or -D DOXYGEN=<program>")
endif()
file(REMOVE_RECURSE ${OUTPUT}/source ${OUTPUT}/html)
execute_process(COMMAND ${DOXYGEN} --version OUTPUT_VARIABLE doxygen_version)
set(always_light FALSE)
if(doxygen_version VERSION_LESS 1.9.5)  # its pages are never dark, so the pictures may not be
  set(always_light TRUE)
endif()

# Pages, in the order of the menu: <file of the repository>=<page of the site>.
set(pages README.md=readme cmake/docs/start.md=start cmake/docs/choose.md=choose
  cmake/docs/cookbook.md=cookbook cmake/docs/errors.md=errors cmake/docs/threads.md=threads
  cmake/docs/realtime.md=realtime cmake/docs/performance.md=performance cmake/docs/policy.md=policy
  cmake/docs/migrate.md=migrate cmake/docs/safety.md=safety cmake/docs/engines.md=engines examples/README.md=examples
  cmake/README.md=packaging benchmarks/README.md=benchmarks benchmarks/trace/README.md=traces
  include/fastalloc/README.md=inside tests/README.md=tests CHANGELOG.md=changelog)

function(page_of file result)  # the name of the file's page; empty if it has none
  cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${root})
  set(${result} "" PARENT_SCOPE)
  foreach(entry IN LISTS pages)
    if(entry MATCHES "^(.+)=(.+)$" AND CMAKE_MATCH_1 STREQUAL file)
      set(${result} ${CMAKE_MATCH_2} PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Each "[text](link)" in turn: "[text](page.md)", or the text alone.
function(write_page file page)
  file(READ ${file} rest)
  cmake_path(GET file PARENT_PATH folder)
  string(REGEX REPLACE "\n<!--[^\n]*-->" "" rest "${rest}")
  string(REGEX REPLACE "([^`])`([^`\n]*'[^`\n]*)`([^`])" "\\1``\\2``\\3" rest "${rest}")  # for Doxygen, ' ends code
  set(text "")
  while(TRUE)
    string(FIND "${rest}" "](" at)
    if(at EQUAL -1)
      break()
    endif()
    string(SUBSTRING "${rest}" 0 ${at} before)
    math(EXPR after "${at} + 2")
    string(SUBSTRING "${rest}" ${after} -1 rest)
    string(FIND "${rest}" ")" end)
    string(SUBSTRING "${rest}" 0 ${end} link)
    math(EXPR end "${end} + 1")
    string(SUBSTRING "${rest}" ${end} -1 rest)
    if(link MATCHES "^[a-z]+://| ")  # also the parameters of a lambda
      string(APPEND text "${before}](${link})")
      continue()
    endif()
    if(link MATCHES "\\.svg$")  # a picture
      get_filename_component(name ${link} NAME)
      file(READ ${folder}/${link} picture)
      if(always_light)
        string(REPLACE "(prefers-color-scheme:dark)" "not all" picture "${picture}")
      endif()
      file(WRITE ${OUTPUT}/source/pictures/${name} "${picture}")
      string(APPEND text "${before}](${name})")
      continue()
    endif()
    string(REGEX REPLACE "#.*" "" link "${link}")
    set(target "")
    if(NOT link STREQUAL "")
      get_filename_component(link ${link} ABSOLUTE BASE_DIR ${folder})
      page_of(${link} target)
    endif()
    if(target)
      string(APPEND text "${before}](${target}.md)")
    else()
      string(FIND "${before}" "[" open REVERSE)
      string(SUBSTRING "${before}" 0 ${open} head)
      math(EXPR open "${open} + 1")
      string(SUBSTRING "${before}" ${open} -1 tail)
      string(APPEND text "${head}${tail}")
    endif()
  endwhile()
  string(APPEND text "${rest}")
  file(WRITE ${OUTPUT}/source/${page}.md "${text}")
endfunction()

# The class goes from detail to fastalloc.
function(publish class text result)
  string(FIND "${text}" "class ${class} " at)
  if(at EQUAL -1)
    string(FIND "${text}" "class [[nodiscard]] ${class} " at)
  endif()
  string(SUBSTRING "${text}" 0 ${at} before)
  string(FIND "${before}" "\n\n" begin REVERSE)
  string(SUBSTRING "${text}" 0 ${begin} before)
  string(SUBSTRING "${text}" ${begin} -1 class_on)
  string(FIND "${class_on}" "\n};\n" end)
  math(EXPR end "${end} + 4")
  string(SUBSTRING "${class_on}" 0 ${end} definition)
  string(SUBSTRING "${class_on}" ${end} -1 after)
  set(${result} "${before}\n}\nnamespace fastalloc {${definition}}\nnamespace fastalloc::detail {\n${after}" PARENT_SCOPE)
endfunction()

# FASTALLOC_UNAVAILABLE(...);  and the macros that stand for it, with template arguments on the line before; and
# static_assert(...);  in classes, which Doxygen does not understand.
function(drop_unavailable text result)
  set(kept "")
  string(REPLACE "\nFASTALLOC_UNAVAILABLE(" "\n  FASTALLOC_UNAVAILABLE(" text "${text}")
  string(REPLACE "\n  FASTALLOC_NEEDS_" "\n  FASTALLOC_UNAVAILABLE(" text "${text}")
  string(REPLACE "\n  static_assert(" "\n  FASTALLOC_UNAVAILABLE(" text "${text}")
  while(TRUE)
    string(FIND "${text}" "\n  FASTALLOC_UNAVAILABLE(" at)
    if(at EQUAL -1)
      break()
    endif()
    string(SUBSTRING "${text}" 0 ${at} before)
    string(REGEX REPLACE "\n *template <[^\n;{]*$" "" before "${before}")
    string(APPEND kept "${before}")
    string(SUBSTRING "${text}" ${at} -1 text)
    string(FIND "${text}" ");\n" end)
    math(EXPR end "${end} + 2")
    string(SUBSTRING "${text}" ${end} -1 text)
  endwhile()
  set(${result} "${kept}${text}" PARENT_SCOPE)
endfunction()

set(published BasicPool=pool/basic_pool.hpp OwnedSlots=handle/owned_slots.hpp CountedHandle=handle/shared_handle.hpp
  BasicPoolResource=adapters/pool_resource.hpp)

function(write_header name)
  file(READ ${root}/include/fastalloc/${name} text)
  if(NOT text MATCHES "namespace fastalloc(::inline [A-Z_]+)? {" AND NOT published MATCHES "=${name}" AND NOT name MATCHES "^(config|version)\\.hpp$")
    return()  # nothing but details
  endif()
  string(REGEX REPLACE "^// SPDX[^\n]*\n" "" text "${text}")
  # The comment on top, if it is followed by #pragma once: its first line, and the rest as it stands.
  if(text MATCHES "^((//[^\n]*\n)+)\n*#pragma once")
    set(top "${CMAKE_MATCH_1}")
    string(LENGTH "${top}" length)
    string(SUBSTRING "${text}" ${length} -1 text)
    string(REGEX REPLACE "\n// ?" "\n" top "\n${top}")
    string(REGEX REPLACE "^\n([^\n]*)\n?" "/** @file\n@verbatim\n\\1\n" top "${top}")
    set(text "${top}@endverbatim\n*/\n${text}")
  endif()
  if(NOT name STREQUAL "version.hpp")
    string(REGEX REPLACE "\n#(define|undef) FASTALLOC_([^\n]*\\\\\n)*[^\n]*" "\n" text "${text}")
  endif()
  string(REGEX REPLACE "(namespace [a-z:]+)::inline FASTALLOC_[A-Z]+" "\\1" text "${text}")
  string(REGEX REPLACE "\ninline namespace FASTALLOC_[A-Z]+ {" "\nextern \"C++\" {" text "${text}")
  string(REPLACE "\n protected:" "\n private:" text "${text}")
  string(REGEX REPLACE " =\n +delete;" " = delete;" text "${text}")
  string(REGEX REPLACE "([)]| const| noexcept) requires [^\n{]*\\{" "\\1 {" text "${text}")
  # Refused functions: of one, two and three lines; with and without template arguments of their own.
  foreach(template "\n *template <[^\n;{]*" "")
    foreach(more "" "\n[^\n]*" "\n[^\n]*\n[^\n]*")
      string(REGEX REPLACE "${template}\n[^\n]*FASTALLOC_ADVI(CE|SES)\\([^\n]*${more}= delete;" "" text "${text}")
    endforeach()
  endforeach()
  drop_unavailable("${text}" text)
  string(REGEX REPLACE "\n *(template <[^\n]*> )?friend (class|struct) [^\n]*;" "" text "${text}")
  # Specializations of the standard library's templates.
  string(REGEX REPLACE "\n(template [^\n]*\n)?inline constexpr bool std::[^\n]*;" "" text "${text}")
  string(REGEX REPLACE "\ntemplate <[^\n]*> struct std::hash<[^\n]*{\n(  [^\n]*\n)+};" "" text "${text}")
  foreach(entry IN LISTS published)
    string(REGEX MATCH "^(.+)=(.+)$" match ${entry})
    set(class ${CMAKE_MATCH_1})
    if(name STREQUAL CMAKE_MATCH_2)
      publish(${class} "${text}" text)
    endif()
    string(REPLACE "detail::${class}<" "${class}<" text "${text}")
  endforeach()
  # A comment begins with its effects, or with what it returns: no title then, so that this becomes the brief description.
  set(lead "(\n( *[^ /\n][^\n]*)?\n *)///")
  string(REGEX REPLACE "${lead} Returns: " "\\1/// Returns " text "${text}")
  if(text MATCHES "/// Effects: ")
    foreach(letter a b c d e f g h i j k l m n o p q r s t u v w x y z)
      string(TOUPPER ${letter} upper)
      string(REGEX REPLACE "${lead} Effects: ${letter}" "\\1/// ${upper}" text "${text}")
    endforeach()
  endif()
  string(REGEX REPLACE "${lead} When to use: " "\\1/// When to use: " text "${text}")
  foreach(pair Effects=effects Requires=needs Returns=gives Throws=fails Complexity=steps "Thread safety=threads")
    string(REGEX MATCH "^(.+)=(.+)$" match ${pair})
    set(word ${CMAKE_MATCH_1})
    set(command ${CMAKE_MATCH_2})
    while(text MATCHES "///[^\n]* ${word}:[ \n]")
      string(REGEX REPLACE "(///[^\n]*) ${word}:([ \n])" "\\1 @${command}\\2" text "${text}")
    endwhile()
  endforeach()
  file(WRITE ${OUTPUT}/source/fastalloc/${name} "${text}")
endfunction()

set(inputs "")
foreach(entry IN LISTS pages)
  string(REGEX MATCH "^(.+)=(.+)$" match ${entry})
  write_page(${root}/${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
  string(APPEND inputs " \"${OUTPUT}/source/${CMAKE_MATCH_2}.md\"")
endforeach()
file(GLOB_RECURSE headers RELATIVE ${root}/include/fastalloc ${root}/include/fastalloc/*.hpp)
foreach(header IN LISTS headers)
  write_header(${header})
endforeach()
file(WRITE ${OUTPUT}/source/fastalloc/namespace.hpp "/** Every public name. */\nnamespace fastalloc {}\n")

file(STRINGS ${root}/include/fastalloc/version.hpp version REGEX "FASTALLOC_VERSION_STRING")
string(REGEX REPLACE ".*\"(.*)\".*" "\\1" version "${version}")
if(STRICT)
  set(as_error FAIL_ON_WARNINGS)
else()
  set(as_error NO)
endif()
file(WRITE ${OUTPUT}/Doxyfile "@INCLUDE = \"${here}/Doxyfile\"
PROJECT_NUMBER = ${version}
INPUT = ${inputs} \"${OUTPUT}/source/fastalloc\"
OUTPUT_DIRECTORY = \"${OUTPUT}\"
IMAGE_PATH = \"${OUTPUT}/source/pictures\"
STRIP_FROM_PATH = \"${OUTPUT}/source\"
STRIP_FROM_INC_PATH = \"${OUTPUT}/source\"
WARN_AS_ERROR = ${as_error}
")
execute_process(COMMAND ${DOXYGEN} ${OUTPUT}/Doxyfile WORKING_DIRECTORY ${OUTPUT} RESULT_VARIABLE result ERROR_VARIABLE warnings)
string(REPLACE "${OUTPUT}/source/" "" warnings "${warnings}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "doxygen failed:\n${warnings}")
endif()
if(warnings)
  message("${warnings}")
endif()
message(STATUS "${OUTPUT}/html/index.html")
