// expect-first: fastalloc: save\(\) and load\(\) copy the bytes of objects, and T is not trivially copyable; use save_with\(f\)
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <string>

int main() {
  fastalloc::FixedPool<std::string> pool(4);
  auto const bytes = pool.saved_bytes();
}
