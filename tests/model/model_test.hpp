// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs the model on all pools of one slot allocator. FASTALLOC_MODEL_SEED sets the seed; a failure prints it.
#pragma once

#include "model/pools.hpp"
#include "model/source.hpp"
#include "support/audit.hpp"

#include <cstdlib>

namespace model {

inline std::uint64_t seed() {
  char const* const text = std::getenv("FASTALLOC_MODEL_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : 20240229;
}

template <class SlotPolicy> void run_all() {
  // AddressSanitizer, without optimisation, makes an operation twenty times as dear.
  constexpr std::size_t share = FASTALLOC_ASAN ? 16 : 1;
  std::size_t operations = 0;
  run_pools<SlotPolicy>([&](char const* name, auto make, Plan const& plan, std::size_t count) {
    test::Audit audit;
    auto const pool = make();
    SeededSource source(seed() + operations);
    Driver driver(*pool, plan, source);
    std::string const failure = driver.run(count / share);
    INFO(name << ", FASTALLOC_MODEL_SEED=" << seed());
    CHECK(failure == "");
    operations += driver.operations();
  });
  CHECK(operations * share >= (takes<SlotPolicy>(0) && takes<SlotPolicy>(1) ? 3'500'000 : 700'000));
}

}  // namespace model
