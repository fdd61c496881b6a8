// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs the model on all pools of one slot allocator. FASTALLOC_MODEL_SEED sets the seed; a failure prints it.
// Optimised builds, and all with FASTALLOC_STRESS_SECONDS, do every operation of pools.hpp; debug builds do a quarter.
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
#ifdef NDEBUG
  constexpr bool is_debug = false;
#else
  constexpr bool is_debug = true;
#endif
  std::size_t const share = FASTALLOC_ASAN                                                   ? 16
                            : is_debug && std::getenv("FASTALLOC_STRESS_SECONDS") == nullptr ? 4
                                                                                             : 1;
  std::size_t operations = 0;
  run_pools<SlotPolicy>([&](char const* name, auto make, Plan const& plan, std::size_t count) {
    test::Audit audit;
    auto const pool = make();
    SeededSource source(seed() + operations);
    Driver driver(*pool, plan, source);
    std::string const failure = driver.run(count / share);
    INFO(name << ", FASTALLOC_MODEL_SEED=" << seed() << ", operations / " << share);
    CHECK(failure == "");
    operations += driver.operations();
  });
  CHECK(operations * share >= (takes<SlotPolicy>(0) && takes<SlotPolicy>(1) ? 3'500'000 : 700'000));
}

}  // namespace model
