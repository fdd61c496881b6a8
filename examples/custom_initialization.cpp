// SPDX-License-Identifier: MIT OR Apache-2.0
// Configuration, and when objects are built: the builder, alignment, work done up front, recycled objects, hooks.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

struct Matrix {
  float values[16] = {};
};

// Costly to build (a big allocation), cheap to clear: worth keeping alive between uses.
struct Buffer {
  static inline int built = 0;
  std::vector<char> bytes;
  explicit Buffer(std::size_t size) {
    bytes.reserve(size);
    ++built;
  }
};

// Hooks are called for types that say so, by the empty base Poolable. They run on every use, also of recycled objects,
// whose constructors do not.
struct Session : fastalloc::Poolable {
  int uses = 0;
  void on_acquire() { std::printf("  acquired, use %d\n", ++uses); }
  void on_release() noexcept { std::printf("  released\n"); }
};

}  // namespace

int main() {
  // The builder checks everything that a PoolConfig can get wrong. try_build() returns the error, build() throws it.
  auto const wrong = fastalloc::PoolConfig::builder().capacity(8).alignment(48).try_build();
  if (!wrong) std::printf("%s: %s\n", name(wrong.error().code), wrong.error().message());

  auto const config = fastalloc::PoolConfig::builder()
                          .capacity(8)
                          .alignment(128)    // each slot begins a pair of cache lines; Matrix itself asks for 4 bytes
                          .pre_initialize()  // touch every page now, so that no first use takes a page fault
                          .try_build();
  if (!config) return 1;
  {
    fastalloc::FixedPool<Matrix> pool(*config);
    auto const first = pool.allocate(), second = pool.allocate();
    auto const aligned = [](auto const& handle) { return reinterpret_cast<std::uintptr_t>(handle.get()) % 128 == 0; };
    std::printf("aligned to 128: %s, %s\n", aligned(first) ? "yes" : "no", aligned(second) ? "yes" : "no");
  }

  // recycle(init, reset): init builds an object once, reset clears it when it comes back. A reset that returns false
  // has the object destroyed and built anew: here, so that one huge request does not keep its memory for good.
  {
    auto pool = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 2, .pre_initialize = true},
                                     fastalloc::recycle([] { return Buffer(1024); },
                                                        [](Buffer& buffer) {
                                                          buffer.bytes.clear();
                                                          return buffer.bytes.capacity() <= 64 * 1024;
                                                        }));
    std::printf("built up front: %d\n", Buffer::built);
    for (int i = 0; i != 100; ++i) {
      auto const buffer = pool.allocate();  // takes no arguments: init knows them
      buffer->bytes.assign(500, 'x');
    }
    std::printf("after 100 uses: %d\n", Buffer::built);

    pool.allocate()->bytes.resize(1'000'000);
    auto const buffer = pool.allocate();
    std::printf("after a huge one: %d, its room is small again: %s\n", Buffer::built,
                buffer->bytes.capacity() <= 64 * 1024 ? "yes" : "no");
  }

  std::printf("built for each use, with hooks:\n");
  fastalloc::FixedPool<Session> fresh(1);
  (void)fresh.allocate();
  (void)fresh.allocate();

  std::printf("recycled, with hooks:\n");
  auto kept = fastalloc::FixedPool(fastalloc::PoolConfig{.capacity = 1}, fastalloc::recycle([] { return Session{}; }));
  (void)kept.allocate();
  (void)kept.allocate();
}
