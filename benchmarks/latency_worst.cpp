// SPDX-License-Identifier: MIT OR Apache-2.0
// Every operation of every slot policy, on a pre-initialized pool of 100,000 slots: full where singles, keys and owners
// are measured, nine tenths full where runs are. for_each, shrink_to_fit and the like visit all slots and are left out.
#include "heap.hpp"
#include "latency.hpp"
#include "subject.hpp"

#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/fastalloc.hpp>

#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench::latency {
namespace {

using namespace fastalloc;

constexpr std::size_t batch = 64;
constexpr std::size_t run_length = 8;

PoolConfig config(Size size) { return {.capacity = size.objects, .pre_initialize = true}; }

template <class Handles, class Make> void fill(Handles& live, std::size_t n, Make&& make) {
  live.reserve(n);
  while (live.size() != n) live.push_back(make(live.size()));
}

/// Calls f(place) for one to sixteen places that lie far from each other.
template <class F> void at_some(Random& random, std::size_t first, std::size_t n, F&& f) {
  std::size_t const count = 1 + random.below(16);
  for (std::size_t i = 0; i != count; ++i) f((first + i * (n / 16)) % n);
}

/// allocate, free, the attempt on a full pool, batches.
template <class Pool> void singles(Record& record, Size size) {
  Pool pool(config(size));
  std::vector<typename Pool::handle_type> live;
  fill(live, size.objects, [&](std::size_t i) { return pool.allocate(i); });
  std::vector<typename Pool::handle_type> some(batch);
  auto& empty = record.of(nothing);
  auto& free = record.of(freeing);
  auto& allocate = record.of(allocating);
  auto& refused = record.of("try_allocate, full");
  auto& many = record.of("allocate_batch of 64");
  Random random;
  auto const free_at = [&](std::size_t place) {
    touch(live[place]->value);  // as a program that is about to give it up
    timed(empty, [] {});
    timed(free, [&] { live[place].reset(); });
  };
  std::optional<Measured> measured(std::in_place, record);
  while (allocate.count() < size.operations) {
    std::size_t const first = random.below(size.objects);
    Random same = random;
    at_some(random, first, size.objects, free_at);
    at_some(same, first, size.objects,
            [&](std::size_t place) { timed(allocate, [&] { live[place] = pool.allocate(place); }); });
    timed(refused, [&] { some[0] = pool.try_allocate(first); });
    if (some[0]) throw std::runtime_error("a full pool gave an object");
    if (random.below(4) != 0) continue;
    for (std::size_t i = 0; i != batch; ++i) free_at((first + i) % size.objects);
    timed(many, [&] { pool.allocate_batch(batch, some.begin(), std::uint64_t{first}); });
    for (std::size_t i = 0; i != batch; ++i) live[(first + i) % size.objects] = std::move(some[i]);
  }
  measured.reset();
}

/// A key is made, objects are looked up; in between, objects are replaced, so that their slots' generations move on.
template <class Pool> void keys(Record& record, Size size) {
  Pool pool(config(size));
  std::vector<typename Pool::handle_type> live;
  fill(live, size.objects, [&](std::size_t i) { return pool.allocate(i); });
  std::vector<Key> known;
  fill(known, size.objects, [&](std::size_t i) { return pool.key(live[i]); });
  auto& make = record.of("key()");
  auto& find = record.of("get(key)");
  Random random;
  std::optional<Measured> measured(std::in_place, record);
  while (find.count() < size.operations) {
    std::size_t const place = random.below(size.objects);
    live[place].reset();
    live[place] = pool.allocate(place);
    timed(make, [&] { known[place] = pool.key(live[place]); });
    std::size_t const other = random.below(size.objects);
    Key const key = known[other];  // the table of keys is the user's
    Object* found = nullptr;
    timed(find, [&] { found = pool.get(key); });
    if (found == nullptr || found->value != other) throw std::runtime_error("a key found another object");
  }
  measured.reset();
}

/// A handle becomes a shared one, a weak one is locked, the last owner goes.
template <class Pool> void owners(Record& record, Size size) {
  Pool pool(config(size));
  std::vector<SharedHandle<Object>> live;
  fill(live, size.objects, [&](std::size_t i) { return pool.allocate(i).share(); });
  auto& share = record.of("share()");
  auto& lock = record.of("lock() of a weak handle");
  auto& end = record.of("the last owner goes");
  Random random;
  std::optional<Measured> measured(std::in_place, record);
  while (share.count() < size.operations) {
    std::size_t const place = random.below(size.objects);
    WeakHandle<Object> weak = live[place].downgrade();
    SharedHandle<Object> locked;
    timed(lock, [&] { locked = weak.lock(); });
    if (!locked || locked->value != place) throw std::runtime_error("a weak handle led elsewhere");
    locked.reset();
    weak.reset();
    timed(end, [&] { live[place].reset(); });
    auto handle = pool.allocate(place);
    timed(share, [&] { live[place] = std::move(handle).share(); });
  }
  measured.reset();
}

/// Runs of adjacent slots come and go among single objects.
template <class Pool> void runs(Record& record, Size size) {
  Pool pool(config(size));
  std::vector<typename Pool::span_handle_type> spans;
  fill(spans, size.objects / 1000 + 1, [&](std::size_t i) { return pool.allocate_n(run_length, i); });
  std::vector<typename Pool::handle_type> live;
  fill(live, pool.available(), [&](std::size_t i) { return pool.allocate(i); });
  Random random;
  for (std::size_t gone = 0; gone != size.objects / 10;) {
    auto& handle = live[random.below(live.size())];
    if (handle) handle.reset(), ++gone;
  }
  auto& take = record.of("allocate_n of 8");
  auto& give = record.of("free of 8 adjacent");
  std::optional<Measured> measured(std::in_place, record);
  while (take.count() < size.operations / 8) {  // they take longer than others
    auto& span = spans[random.below(spans.size())];
    if (span) timed(give, [&] { span.reset(); });
    timed(take, [&] { span = pool.try_allocate_n(run_length, std::uint64_t{1}); });
    auto& single = live[random.below(live.size())];
    if (single) single.reset();
    auto& other = live[random.below(live.size())];
    if (!other) other = pool.try_allocate(std::uint64_t{1});
  }
  measured.reset();
}

/// A resource keeps no count of slots: only these two.
void resource(Record& record, Size size) {
  Pmr<PoolResource> subject(size.objects);
  std::vector<Object*> live;
  fill(live, size.objects, [&](std::size_t i) { return subject.make(i); });
  auto& empty = record.of(nothing);
  auto& free = record.of(freeing);
  auto& allocate = record.of(allocating);
  Random random;
  std::optional<Measured> measured(std::in_place, record);
  while (allocate.count() < size.operations) {
    std::size_t const first = random.below(size.objects);
    Random same = random;
    at_some(random, first, size.objects, [&](std::size_t place) {
      touch(live[place]->value);
      timed(empty, [] {});
      timed(free, [&] { subject.kill(live[place]); });
    });
    at_some(same, first, size.objects,
            [&](std::size_t place) { timed(allocate, [&] { live[place] = subject.make(place); }); });
  }
  measured.reset();
  for (Object* object : live) subject.kill(object);
}

template <class Plain, class Keyed, class Counted, class Bits> void all(Record& record, Size size) {
  singles<Plain>(record, size);
  if constexpr (!std::is_void_v<Keyed>) keys<Keyed>(record, size);
  if constexpr (!std::is_void_v<Counted>) owners<Counted>(record, size);
  if constexpr (!std::is_void_v<Bits>) runs<Bits>(record, size);
}

}  // namespace

std::vector<Case> worst_cases() {
  std::vector<Case> cases;
  auto const add = [&](char const* side, void (*run)(Record&, Size)) {
    cases.push_back({worst, side, run, {100'000, 250'000}, 12});
  };
  using Fixed = FixedPool<Object>;
  using Bits = FixedPool<Object, BitmapAllocator>;
  using Links = FixedPool<Object, FreeListAllocator>;
  add("FixedPool", all<Fixed, FixedPool<Object, Generations>, FixedPool<Object, Shared>, void>);
  add("FixedPool, FreeListAllocator", all<Links, FixedPool<Object, FreeListAllocator, Generations>,
                                          FixedPool<Object, FreeListAllocator, Shared>, void>);
  add("FixedPool, BitmapAllocator",
      all<Bits, FixedPool<Object, BitmapAllocator, Generations>, FixedPool<Object, BitmapAllocator, Shared>, Bits>);
  add("GrowingPool", all<GrowingPool<Object>, GrowingPool<Object, Generations>, GrowingPool<Object, Shared>, void>);
  add("ThreadSafePool",
      all<ThreadSafePool<Object>, ThreadSafePool<Object, Generations>, ThreadSafePool<Object, AtomicShared>, void>);
  add("ThreadSafePool, LockFree", all<ThreadSafePool<Object, LockFree>, ThreadSafePool<Object, LockFree, Generations>,
                                      ThreadSafePool<Object, LockFree, AtomicShared>, void>);
  add("ThreadLocalPool", all<ThreadLocalPool<Object>, void, ThreadLocalPool<Object, AtomicShared>, void>);
  add("PoolResource", resource);
  return cases;
}

}  // namespace bench::latency
