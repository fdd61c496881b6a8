// SPDX-License-Identifier: MIT OR Apache-2.0
#include "regressions/shared/library.hpp"

namespace shared {

std::size_t consume(fastalloc::Handle<std::string> text) { return text->size(); }
std::size_t consume_typed(Pool::handle_type text) { return text->size(); }
bool taker_catches_exhaustion() {
#if FASTALLOC_EXCEPTIONS
  try {
    exhaust();
  } catch (fastalloc::PoolExhausted const& e) {
    return e.error().capacity == 1;
  }
  return false;
#else
  return true;
#endif
}

}  // namespace shared
