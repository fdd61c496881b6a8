// SPDX-License-Identifier: MIT OR Apache-2.0
// The program ends with an object of an ended thread in a global handle, one in a thread_local handle of the main
// thread, and slots in the main thread's cache.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "concurrency/exit/objects.hpp"

namespace {
thread_local fastalloc::Handle<std::string> local_handle;
}

int main() {
  // Prints and ends the program as the default handler does, but without a signal, which CTest would not look behind.
  fastalloc::set_error_handler([](fastalloc::Error const& error) {
    std::puts(error.to_string().c_str());
    std::fflush(stdout);
    std::_Exit(3);
  });
  local_handle = fastalloc::Handle<std::string>{};  // built here, so it ends after the thread's part of the pool
  std::thread([] {
    global_handle = global_pool.allocate("lives until the program ends");
    auto const gone = global_pool.allocate("ends with its thread");
  }).join();
  local_handle = global_pool.allocate("lives until the main thread ends");
  for (int i = 0; i != 10; ++i) auto const kept = global_pool.allocate("its slot stays with the thread");
  std::puts(global_handle->c_str());
}
