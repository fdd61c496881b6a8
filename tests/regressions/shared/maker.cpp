// SPDX-License-Identifier: MIT OR Apache-2.0
#include "regressions/shared/library.hpp"

namespace shared {

Pool& the_pool() {
  static Pool pool(2);
  return pool;
}
fastalloc::Handle<std::string> make(char const* text) { return the_pool().allocate(text); }
Pool::handle_type make_typed(char const* text) { return the_pool().allocate(text); }
void exhaust() {
  fastalloc::FixedPool<std::string> pool(1);
  auto const held = pool.allocate("only");
  auto const more = pool.allocate("too many");
}

}  // namespace shared
