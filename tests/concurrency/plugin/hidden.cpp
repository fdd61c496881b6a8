// SPDX-License-Identifier: MIT OR Apache-2.0
#include "concurrency/plugin/hidden.hpp"

using namespace hidden;

namespace {

fastalloc::Key strange_key() {
  static Keyed pool(64);
  static auto const item = pool.allocate(1);
  return pool.key(item);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) Functions const hidden_functions;
Functions const hidden_functions{
    [](Inline& pool) {
      for (int i = 0; i != 20; ++i) (void)pool.allocate(i);
    },
    [](Keyed& pool, std::size_t slots) { pool.reserve(slots); },
    strange_key,
    [](Inline& pool, std::array<fastalloc::SlotRequest, 3>& requests, int& most) {
      static int running = 0;
      for (auto& request : requests)
        request = pool.on_available([&most](auto& slot) {
          if (++running > most) most = running;
          if (slot) (void)slot.allocate(1);  // which serves the next request
          --running;
        });
    },
};
