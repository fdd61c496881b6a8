# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D ROOT=<checkout> [-D CHECK=ON] -P embed.cmake
# Writes the script for GDB into include/fastalloc/debug/gdb.hpp; with CHECK says whether it is there already.
cmake_minimum_required(VERSION 3.23)
set(header ${ROOT}/include/fastalloc/debug/gdb.hpp)
file(READ ${ROOT}/cmake/debuggers/fastalloc_gdb.py script)
string(REPLACE "\\" "\\\\" script "${script}")
string(REPLACE "\"" "\\\"" script "${script}")
string(REGEX REPLACE "([^\n]*)\n" ".ascii \"\\1\\\\n\"\n" script "${script}")
if(script MATCHES "\\)asm\"")
  message(FATAL_ERROR "the script holds what ends a raw string")
endif()
file(READ ${header} old)
string(FIND "${old}" "// --- the script\n" begin)
string(FIND "${old}" "// --- end of the script\n" end)
if(begin EQUAL -1 OR end EQUAL -1)
  message(FATAL_ERROR "${header} has lost the lines around the script")
endif()
string(SUBSTRING "${old}" 0 ${begin} before)
string(SUBSTRING "${old}" ${end} -1 after)
# MSVC takes at most 16,380 characters a literal; this header is empty there.
set(new "${before}// --- the script\nasm(R\"asm(\n.pushsection \".debug_gdb_scripts\",\"MS\",%progbits,1\n.byte 4\n.ascii \"fastalloc\\n\"\n${script}.byte 0\n.popsection\n)asm\");\n${after}")
if(old STREQUAL new)
  return()
elseif(CHECK)
  message(FATAL_ERROR "include/fastalloc/debug/gdb.hpp does not hold cmake/debuggers/fastalloc_gdb.py; run\n"
    "  cmake -D ROOT=. -P cmake/debuggers/embed.cmake")
endif()
file(WRITE ${header} "${new}")
