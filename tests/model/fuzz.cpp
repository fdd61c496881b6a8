// SPDX-License-Identifier: MIT OR Apache-2.0
// The model as a libFuzzer target: the first byte picks the pool, the others are the decisions.
//   cmake -B build/fuzz -D CMAKE_CXX_COMPILER=clang++ -D FASTALLOC_FUZZ=ON && build/fuzz/tests/model/fuzz_model
#include "model/full_and_saved.hpp"
#include "model/pools.hpp"
#include "model/source.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

template <class SlotPolicy> void run(std::size_t wanted, std::span<std::uint8_t const> bytes) {
  std::size_t number = 0;
  model::run_pools<SlotPolicy>([&](char const* name, auto make, model::Plan plan, std::size_t) {
    if (number++ != wanted) return;
    plan.check_every = 1;
    std::string failure;
    std::size_t const before = test::ledger().live();
    {
      auto const pool = make();
      model::ByteSource source(bytes);
      model::Driver driver(*pool, plan, source);
      failure = driver.run(bytes.size());
    }
    if (failure.empty() && test::ledger().live() != before) failure = "objects outlived their pool";
    if (failure.empty()) failure = test::ledger().first_mistake();
    if (failure.empty()) failure = test::storage_account().first_mistake();
    if (failure.empty() && test::storage_account().blocks() != 0) failure = "blocks were leaked";
    if (failure.empty()) return;
    std::fprintf(stderr, "%s: %s\n", name, failure.c_str());
    std::abort();
  });
}

/// Models that are no pool of the driver's.
void run_other(std::size_t wanted, std::span<std::uint8_t const> bytes) {
  std::size_t number = 0;
  model::run_full_and_saved([&](auto& of, std::size_t) {
    if (number++ != wanted) return;
    model::ByteSource source(bytes);
    std::string const failure = model::run_steps(of, source, bytes.size());
    if (failure.empty()) return;
    std::fprintf(stderr, "%s\n", failure.c_str());
    std::abort();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  std::span<std::uint8_t const> const bytes(data + 1, size - 1);
  switch (data[0] / 16 % 4) {
    case 0: run<fastalloc::StackAllocator>(data[0] % 16, bytes); break;
    case 1: run<fastalloc::FreeListAllocator>(data[0] % 16, bytes); break;
    case 2: run<fastalloc::BitmapAllocator>(data[0] % 16, bytes); break;
    default: run_other(data[0] % 16, bytes);
  }
  return 0;
}
