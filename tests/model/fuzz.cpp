// SPDX-License-Identifier: MIT OR Apache-2.0
// The model as a libFuzzer target: the first byte picks the pool, the others are the decisions.
//   cmake -B build/fuzz -D CMAKE_CXX_COMPILER=clang++ -D FASTALLOC_FUZZ=ON && build/fuzz/tests/model/fuzz_model
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  std::span<std::uint8_t const> const bytes(data + 1, size - 1);
  switch (data[0] / 8 % 3) {
    case 0: run<fastalloc::StackAllocator>(data[0] % 8, bytes); break;
    case 1: run<fastalloc::FreeListAllocator>(data[0] % 8, bytes); break;
    default: run<fastalloc::BitmapAllocator>(data[0] % 8, bytes);
  }
  return 0;
}
