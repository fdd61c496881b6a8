// SPDX-License-Identifier: MIT OR Apache-2.0
// The state of a pool as bytes, and back: save() and load() beside memcpy of the slots in use. Objects were allocated
// in order; where some are free, they were released in random order.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <cstring>
#include <utility>
#include <vector>

namespace bench::ownership {
namespace {

using namespace fastalloc;

template <std::size_t Bytes> struct Plain {
  std::uint64_t words[Bytes / 8];
};

enum class Does { copy, save, load };

template <class Pool> void run(benchmark::State& state, std::size_t n, std::size_t free, Does what) {
  using T = typename Pool::value_type;
  Pool pool(n);
  std::vector<T*> objects;
  for (std::size_t i = 0; i != n; ++i) {
    auto handle = pool.allocate();
    *handle = {};
    if constexpr (Pool::has_keys) (void)pool.key(handle);
    objects.push_back(handle.release());
  }
  T* const first = objects[0];
  Random random;
  for (std::size_t i = n; i > 1; --i) std::swap(objects[i - 1], objects[random.below(i)]);
  for (std::size_t i = 0; i != free; ++i) pool.adopt(objects[i]).reset();
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines((pool.saved_bytes() + n * sizeof(T)) / sizeof(Line) + 1);
  std::span<std::byte> const bytes(lines[0].bytes, lines.size() * sizeof(Line));
  pool.save(bytes);
  for (auto _ : state) {
    switch (what) {
      case Does::copy: std::memcpy(bytes.data(), static_cast<void const*>(first), n * sizeof(T)); break;
      case Does::save: pool.save(bytes); break;
      case Does::load:
        if (!pool.load(bytes)) return state.SkipWithError("not loaded");
    }
    benchmark::ClobberMemory();
  }
  pool.for_each([&](T& object) { pool.adopt(&object).reset(); });
}

template <std::size_t Bytes> void add_size(std::size_t n) {
  for (std::size_t const percent : {0U, 50U}) {
    std::string const table = "save and load " + std::to_string(n) + " slots of " + std::to_string(Bytes) + " bytes, " +
                              std::to_string(percent) + " % free";
    auto const row = [&]<class Pool>(std::type_identity<Pool>, std::string const& name) {
      for (auto const& [what, verb] : {std::pair(Does::save, "save: "), std::pair(Does::load, "load: ")})
        add(Threads::one, table, verb + name,
            [n, percent, what = what](benchmark::State& state) { run<Pool>(state, n, n * percent / 100, what); });
    };
    using T = Plain<Bytes>;
    add(Threads::one, table, "memcpy of the slots",
        [n](benchmark::State& state) { run<FixedPool<T>>(state, n, 0, Does::copy); });
    row(std::type_identity<FixedPool<T>>(), "Stack");
    row(std::type_identity<FixedPool<T, Generations>>(), "Stack, Generations");
    row(std::type_identity<FixedPool<T, BitmapAllocator>>(), "Bitmap");
    row(std::type_identity<FixedPool<T, BitmapAllocator, Generations>>(), "Bitmap, Generations");
    row(std::type_identity<FixedPool<T, FreeListAllocator>>(), "FreeList");
  }
}

}  // namespace

void add_saved() {
  add_size<64>(1000);
  add_size<64>(100'000);
  add_size<256>(10'000);
}

}  // namespace bench::ownership
