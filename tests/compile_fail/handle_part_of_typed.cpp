// expect: no matching
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Pair {
  int first, second;
};
// Only an erased handle may point at a part.
using Pool = fastalloc::FixedPool<Pair>;
Pool::handle_type wrong(Pool::handle_type whole, Pair* part) {
  return Pool::handle_type(static_cast<Pool::handle_type&&>(whole), part);
}
