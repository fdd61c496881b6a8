// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cstdio>
#include <cstdlib>

#include "regressions/exit/objects.hpp"

int main() {
  // Prints and ends the program as the default handler does, but without a signal, which CTest would not look behind.
  fastalloc::set_error_handler([](fastalloc::Error const& error) {
    std::puts(error.to_string().c_str());
    std::fflush(stdout);
    std::_Exit(3);
  });
  global_handle = global_pool.allocate("lives until the program ends");
  std::puts(global_handle->c_str());
}
