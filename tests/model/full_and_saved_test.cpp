// SPDX-License-Identifier: MIT OR Apache-2.0
#include "model/full_and_saved.hpp"

#include "model/model_test.hpp"

TEST_CASE("model: objects from the heap, saved pools") {
  constexpr std::size_t share = FASTALLOC_ASAN ? 16 : 1;
  std::size_t number = 0;
  model::run_full_and_saved([&](auto& of, std::size_t operations) {
    model::SeededSource source(model::seed() + number);
    INFO("model " << number++ << ", FASTALLOC_MODEL_SEED=" << model::seed());
    CHECK(model::run_steps(of, source, operations / share) == "");
    test::ledger().forgive();
  });
}
