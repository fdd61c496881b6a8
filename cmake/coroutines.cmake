# SPDX-License-Identifier: MIT OR Apache-2.0
# FASTALLOC_HAVE_COROUTINES: the compiler takes the coroutines of the standard library that it finds. (Some do not, or want a
# flag for it: clang 14 with libstdc++.) For examples, tests and benchmarks; the library itself needs none.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS ${CMAKE_CXX20_STANDARD_COMPILE_OPTION})
check_cxx_source_compiles("
  #include <coroutine>
  struct Task {
    struct promise_type {
      Task get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() {}
    };
  };
  Task task() { co_await std::suspend_never{}; }
  int main() { task(); }" FASTALLOC_HAVE_COROUTINES)
unset(CMAKE_REQUIRED_FLAGS)
