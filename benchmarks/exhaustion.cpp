// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools that are full, and pages that go back. The oldest of 1,000 objects is replaced, by Evict and by hand; objects
// in a pool with HeapFallback, and beyond it; purge() beside what gives memory back otherwise, per page of 4 KiB.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include <sys/mman.h>

namespace bench::ownership {
namespace {

using namespace fastalloc;

constexpr std::size_t room = 1000;

/// `replace(i)` makes an object, and ends the oldest.
template <class Replace> void replace_all(benchmark::State& state, Replace replace) {
  std::uint64_t i = 0;
  for (; i != 2 * room; ++i) replace(i);
  for (auto _ : state) replace(++i);
}

/// Owners in the order of their age, the oldest one next.
template <class Owner> struct Ring {
  std::vector<Owner> owners = std::vector<Owner>(room);
  std::size_t next = 0;
  Owner& operator()() { return owners[next = next + 1 == room ? 0 : next + 1]; }
};

void add_replacing() {
  auto const row = [](char const* name, void (*run)(benchmark::State&)) {
    add(Threads::one, "replace the oldest of 1,000 objects", name, run);
  };
  row("by hand: a ring of handles, FixedPool", [](benchmark::State& state) {
    FixedPool<Object, NoChecks> pool(room);
    Ring<decltype(pool)::handle_type> ring;
    replace_all(state, [&](std::uint64_t i) {
      auto& oldest = ring();
      oldest.reset();
      oldest = pool.allocate(i);
    });
  });
  row("Evict, a ring of handles", [](benchmark::State& state) {
    Ring<Handle<Object>> ring;
    auto const oldest = evict([&ring] { return ring.owners[ring.next + 1 == room ? 0 : ring.next + 1].reset(), true; });
    FixedPool<Object, NoChecks, std::remove_const_t<decltype(oldest)>> pool(PoolConfig{.capacity = room}, oldest);
    replace_all(state, [&](std::uint64_t i) {
      auto handle = pool.allocate(i);
      ring() = std::move(handle);
    });
    ring.owners.clear();
  });
  row("Evict, OldestFirst", [](benchmark::State& state) {
    OldestFirst<Object> queue;
    auto const oldest = evict(std::ref(queue));
    FixedPool<Object, NoChecks, std::remove_const_t<decltype(oldest)>> pool(PoolConfig{.capacity = room}, oldest);
    replace_all(state, [&](std::uint64_t i) { escape(&queue.push(pool.allocate(i))); });
    queue = {};
  });
  row("a std::list", [](benchmark::State& state) {
    std::list<Object> list;
    replace_all(state, [&](std::uint64_t i) {
      if (list.size() == room) list.pop_front();
      escape(&list.emplace_back(i));
    });
  });
}

template <class Pool> void pairs(benchmark::State& state, std::size_t held) {
  Pool pool(room);
  escape(&pool);
  std::vector<typename Pool::handle_type> handles;
  for (std::size_t i = 0; i != held; ++i) handles.push_back(pool.allocate(i));
  std::uint64_t i = 0;
  for (auto _ : state) {
    auto const handle = pool.allocate(++i);
    escape(handle.get());
  }
}
void heap_pairs(benchmark::State& state) {
  std::uint64_t i = 0;
  for (auto _ : state) {
    auto const owner = std::make_unique<Object>(++i);
    escape(owner.get());
  }
}

struct None {
  bool operator()() const { return false; }
};

void add_pairs() {
  std::string const inside = "take an object and return it, the pool has room";
  add(Threads::one, inside, "FixedPool", [](auto& state) { pairs<FixedPool<Object, NoChecks>>(state, 0); });
  add(Threads::one, inside, "FixedPool, Evict",
      [](auto& state) { pairs<FixedPool<Object, NoChecks, Evict<None>>>(state, 0); });
  add(Threads::one, inside, "FixedPool, HeapFallback",
      [](auto& state) { pairs<FixedPool<Object, NoChecks, HeapFallback>>(state, 0); });
  add(Threads::one, inside, "std::make_unique", heap_pairs);
  std::string const beyond = "take an object and return it, the pool is full";
  add(Threads::one, beyond, "std::make_unique", heap_pairs);
  add(Threads::one, beyond, "FixedPool, HeapFallback",
      [](auto& state) { pairs<FixedPool<Object, NoChecks, HeapFallback>>(state, room); });
  add(Threads::one, beyond, "ThreadSafePool, HeapFallback",
      [](auto& state) { pairs<ThreadSafePool<Object, NoChecks, HeapFallback>>(state, room); });
}

constexpr std::size_t page = 4096, slots = 256 * 1024, bytes = slots * sizeof(Object), pages = bytes / page;

std::size_t resident_pages() {
  std::size_t all = 0, resident = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &all, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident;
}

/// `fill()` touches all pages; the time of `push()` is measured, and that most of them are gone afterwards.
template <class Fill, class Give> void purge_all(benchmark::State& state, Fill fill, Give give) {
  for (auto _ : state) {
    std::size_t const empty = resident_pages();
    fill();
    std::size_t const full = resident_pages();
    auto const begin = std::chrono::steady_clock::now();
    give();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    std::size_t const left = resident_pages();
    if (full < empty + pages / 2 || full - left < pages * 9 / 10) state.SkipWithError("the pages stayed");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * pages));
}

template <class Pool> void touch_all(Pool& pool) {
  std::vector<typename Pool::handle_type> handles;
  for (std::size_t i = 0; i != slots; ++i) handles.push_back(pool.allocate(i));
}

void add_purging() {
  auto const row = [](char const* name, void (*run)(benchmark::State&)) {
    add(Threads::one, "give back a page of 16 MiB of free slots", name, run)->UseManualTime()->Iterations(5);
  };
  auto const map = [] {
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(memory, bytes, MADV_NOHUGEPAGE);
    return static_cast<char*>(memory);
  };
  static constexpr auto mapped = map;
  row("munmap", [](benchmark::State& state) {
    char* memory = nullptr;
    purge_all(state, [&] { std::fill_n(memory = mapped(), bytes, 'x'); }, [&] { ::munmap(memory, bytes); });
  });
  row("madvise(MADV_DONTNEED)", [](benchmark::State& state) {
    char* const memory = mapped();
    purge_all(state, [&] { std::fill_n(memory, bytes, 'x'); }, [&] { ::madvise(memory, bytes, MADV_DONTNEED); });
    ::munmap(memory, bytes);
  });
  using Small = FixedPool<Object, PageStorage, NoChecks>;
  row("purge()", [](benchmark::State& state) {
    Small pool(PoolConfig{.capacity = slots}, PageStorage{{.huge_pages = HugePages::none}});
    purge_all(state, [&] { touch_all(pool); }, [&] { (void)pool.purge(); });
  });
  row("purge(), BitmapAllocator", [](benchmark::State& state) {
    FixedPool<Object, PageStorage, NoChecks, BitmapAllocator> pool(PoolConfig{.capacity = slots},
                                                                   PageStorage{{.huge_pages = HugePages::none}});
    purge_all(state, [&] { touch_all(pool); }, [&] { (void)pool.purge(); });
  });
  row("purge(), one object of 1,000 lives", [](benchmark::State& state) {
    Small pool(PoolConfig{.capacity = slots}, PageStorage{{.huge_pages = HugePages::none}});
    std::vector<Small::handle_type> kept;
    purge_all(
        state,
        [&] {
          kept.clear();
          std::vector<Small::handle_type> handles;
          for (std::size_t i = 0; i != slots; ++i) (i % 1000 == 0 ? kept : handles).push_back(pool.allocate(i));
        },
        [&] { (void)pool.purge(); });
  });
  row("shrink_to_fit() of a GrowingPool", [](benchmark::State& state) {
    GrowingPool<Object, PageStorage, NoChecks> pool(
        PoolConfig{.capacity = 64, .growth_strategy = GrowthStrategy::linear(slots)},
        PageStorage{{.huge_pages = HugePages::none}});
    purge_all(state, [&] { touch_all(pool); }, [&] { (void)pool.shrink_to_fit(); });
  });
}

}  // namespace

void add_exhaustion() {
  add_replacing();
  add_pairs();
  add_purging();
}

}  // namespace bench::ownership
