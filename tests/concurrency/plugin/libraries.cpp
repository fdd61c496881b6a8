// SPDX-License-Identifier: MIT OR Apache-2.0
// Libraries with symbols of their own: pools that they share with the program, libraries that are unloaded and loaded
// anew, two versions of fastalloc in one process.
#include <fastalloc/fastalloc.hpp>

#include <dlfcn.h>

#include <vector>

#include "concurrency/plugin/hidden.hpp"
#include "concurrency/plugin/plugin.hpp"
#include "concurrency/threads.hpp"

using namespace fastalloc;

namespace {

struct Library {
  explicit Library(char const* path) : library(::dlopen(path, RTLD_NOW | RTLD_LOCAL)) {}
  template <class F> [[nodiscard]] F find(char const* name) const {
    REQUIRE(library != nullptr);
    auto const found = reinterpret_cast<F>(::dlsym(library, name));
    REQUIRE(found != nullptr);
    return found;
  }
  [[nodiscard]] hidden::ReloadFunctions const& reload() const {
    return *find<hidden::ReloadFunctions const*>("reload_functions");
  }
  [[nodiscard]] hidden::Functions const& functions() const {
    return *find<hidden::Functions const*>("hidden_functions");
  }
  /// Returns: true when it is gone.
  [[nodiscard]] bool close(char const* path) const {
    return ::dlclose(library) == 0 && ::dlopen(path, RTLD_NOW | RTLD_NOLOAD) == nullptr;
  }

  void* library;
};

constinit hidden::Inline inline_pool;

}  // namespace

TEST_CASE("libraries: a program's inline pool that a library used first, on a thread that has ended") {
  Library const plugin(HIDDEN);
  std::thread([&] { plugin.functions().use(inline_pool); }).join();
  CHECK(::dlclose(plugin.library) == 0);
  CHECK(inline_pool.allocated() == 0);
  for (int i = 0; i != 20; ++i) (void)inline_pool.allocate(i);
  CHECK(inline_pool.allocated() == 0);
}

TEST_CASE("libraries: the functions of a library's requests run one after another, whoever releases") {
  Library const plugin(HIDDEN);
  std::vector<hidden::Inline::handle_type> handles;
  while (auto handle = inline_pool.try_allocate(1)) handles.push_back(std::move(handle));
  std::array<SlotRequest, 3> requests;
  int most = 0;
  plugin.functions().ask(inline_pool, requests, most);
  CHECK(most == 0);
  handles.pop_back();
  CHECK(most == 1);
  for (auto const& request : requests) CHECK_FALSE(request);
  handles.clear();
  requests = {};
  CHECK(inline_pool.allocated() == 0);
  CHECK(::dlclose(plugin.library) == 0);
}

TEST_CASE("libraries: keys of a pool that a library made grow") {
  Library const plugin(HIDDEN);
  hidden::Keyed pool(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::exponential(2.0)});
  auto one = pool.allocate(0);
  plugin.functions().reserve(pool, 1000);
  CHECK(pool.capacity() == 1000);
  std::vector<hidden::Keyed::handle_type> handles;
  for (int i = 0; i != 999; ++i) handles.push_back(pool.allocate(i));
  std::vector<Key> keys;
  for (auto const& handle : handles) keys.push_back(pool.key(handle));
  for (std::size_t i = 0; i != 999; ++i) REQUIRE(pool.get(keys[i]) == handles[i].get());
  handles.erase(handles.begin(), handles.begin() + 500);
  for (std::size_t i = 0; i != 500; ++i) REQUIRE_FALSE(pool.contains(keys[i]));
  for (std::size_t i = 500; i != 999; ++i) REQUIRE(pool.get(keys[i]) == handles[i - 500].get());
  handles.clear(), one.reset();
  CHECK(pool.capacity() == 1000);
  CHECK_FALSE(pool.contains(plugin.functions().strange_key()));
}

// The handle calls the function that the pool keeps: first of the library that made it, then of the one that was loaded
// later.
TEST_CASE("libraries: a pool outlives the library that made it, and is rebound by the next one") {
  alignas(hidden::Fixed) std::byte memory[sizeof(hidden::Fixed)];
  hidden::Fixed* pool = nullptr;
  Handle<hidden::Item> first, second;
  {
    Library const plugin(RELOAD_A);
    pool = plugin.reload().make(memory);
    first = plugin.reload().allocate(*pool, 1);
    second = plugin.reload().allocate(*pool, 2);
#if !FASTALLOC_ASAN && !FASTALLOC_TSAN
    CHECK(plugin.close(RELOAD_A));  // nothing of it stays: no unique symbol, since it used no pool of threads
#else
    CHECK(::dlclose(plugin.library) == 0);
#endif
  }
  Library const next(RELOAD_B);
  next.reload().rebind(*pool);
  first.reset();
  CHECK(pool->allocated() == 1);
  CHECK(second->value == 2);
  second.reset();
  CHECK(pool->allocated() == 0);
  pool->~FixedPool();
  CHECK(::dlclose(next.library) == 0);
}

TEST_CASE("libraries: another version of fastalloc in the same process") {
  ThreadSafePool<long> pool(50);
  for (int i = 0; i != 20; ++i) (void)pool.allocate();
  Library const other(OTHER_VERSION);
  auto const use = other.find<PluginUse>("plugin_use");
  CHECK(use() == 100);
  std::thread([&] {
    CHECK(use() == 100);
    for (int i = 0; i != 20; ++i) (void)pool.allocate();
    CHECK(use() == 100);
  }).join();
  CHECK(pool.allocated() == 0);
}
