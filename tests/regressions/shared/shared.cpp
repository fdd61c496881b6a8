// SPDX-License-Identifier: MIT OR Apache-2.0
#include <vector>

#include "regressions/shared/library.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"

TEST_CASE("trap: pools across shared libraries: allocate in one, release in the other and here") {
  for (int round = 0; round != 5; ++round) {
    std::vector<fastalloc::Handle<std::string>> erased;
    std::vector<shared::Pool::handle_type> typed;
    for (int i = 0; i != 50; ++i) {
      erased.push_back(shared::make("a text that needs the heap, for it is long"));
      typed.push_back(shared::make_typed("short"));
    }
    CHECK(shared::the_pool().allocated() == 100);
    for (int i = 0; i != 20; ++i) {
      CHECK(shared::consume(std::move(erased[static_cast<std::size_t>(i)])) == 42);
      CHECK(shared::consume_typed(std::move(typed[static_cast<std::size_t>(i)])) == 5);
    }
    CHECK(shared::the_pool().allocated() == 60);
    typed.push_back(shared::the_pool().allocate("from the program"));
    erased.clear();
    typed.clear();
    CHECK(shared::the_pool().is_empty());
    CHECK(shared::the_pool().shrink_to_fit() > 0);
  }
}

TEST_CASE("trap: pools across shared libraries: exceptions and the error handler are one") {
  CHECK(shared::taker_catches_exhaustion());
}
