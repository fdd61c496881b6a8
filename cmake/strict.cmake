# SPDX-License-Identifier: MIT OR Apache-2.0
# fastalloc_strict: what our own tests, examples and benchmarks link to, in place of fastalloc::fastalloc. It brings the
# library and the warnings that we hold it to; it is neither installed nor exported, so users never see these flags.
add_library(fastalloc_strict INTERFACE)
target_link_libraries(fastalloc_strict INTERFACE fastalloc::fastalloc)
target_compile_definitions(fastalloc_strict INTERFACE $<$<CONFIG:Debug>:FASTALLOC_CHECK_LOCKS=1>)  # lock/lock.hpp
if(MSVC)
  target_compile_options(fastalloc_strict INTERFACE /W4 /WX /permissive- /Zc:__cplusplus)
else()
  target_compile_options(fastalloc_strict INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
endif()
