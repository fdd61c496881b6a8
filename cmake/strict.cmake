# SPDX-License-Identifier: MIT OR Apache-2.0
# fastalloc_strict: what our own tests, examples and benchmarks link to, in place of fastalloc::fastalloc. It brings the
# library and the warnings that we hold it to; it is neither installed nor exported, so users never see these flags.
add_library(fastalloc_strict INTERFACE)
target_link_libraries(fastalloc_strict INTERFACE fastalloc::fastalloc)
target_compile_definitions(fastalloc_strict INTERFACE $<$<CONFIG:Debug>:FASTALLOC_CHECK_LOCKS=1>)  # lock/lock.hpp
if(MSVC)
  # Off: C4127, a condition that is constant (in templates it often is); C4324, padding by alignas; C4714, a __forceinline
  # function that was not inlined (with /Ob0, and where it has objects to destroy).
  target_compile_options(fastalloc_strict INTERFACE
    /W4 /WX /permissive- /Zc:__cplusplus /EHsc /utf-8 /bigobj /wd4127 /wd4324 /wd4714)
else()
  target_compile_options(fastalloc_strict INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
endif()
