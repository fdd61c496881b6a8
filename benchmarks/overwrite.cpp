// SPDX-License-Identifier: MIT OR Apache-2.0
// A buffer is taken and returned: value-initialised, so zeroed, and default-initialised, to be written at once.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <memory>
#include <string>

namespace bench::ownership {
namespace {

using namespace fastalloc;

template <std::size_t bytes> struct Buffer {
  std::uint32_t length;
  unsigned char data[bytes - 4];
};

template <std::size_t bytes> void enter(std::string const& size) {
  using Pool = FixedPool<Buffer<bytes>, NoChecks>;
  std::string const table = "take a buffer of " + size + ", and return it";
  auto const row = [&](char const* name, auto take) {
    add(Threads::one, table, name, [take](benchmark::State& state) {
      Pool pool(8);
      escape(&pool);
      for (auto _ : state) {
        auto const owner = take(pool);
        escape(owner.get());
        benchmark::ClobberMemory();
      }
    });
  };
  row("allocate_for_overwrite()", [](Pool& pool) { return pool.allocate_for_overwrite(); });
  row("allocate()", [](Pool& pool) { return pool.allocate(); });
  row("std::make_unique_for_overwrite", [](Pool&) { return std::make_unique_for_overwrite<Buffer<bytes>>(); });
  row("std::make_unique", [](Pool&) { return std::make_unique<Buffer<bytes>>(); });
}

}  // namespace

void add_overwriting() {
  enter<2048>("2 KiB");
  enter<65536>("64 KiB");
}

}  // namespace bench::ownership
