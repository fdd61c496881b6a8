// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on a pool that evicts, against a list of what lives, in the order of age: a request takes a free
// slot, or the pool grows, or the oldest object ends; clear() and reserved keys in between.
#include "model/source.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

using namespace fastalloc;
using test::Tracked;

namespace {

constexpr std::size_t capacity = 24;

/// Objects by key, the oldest first; what the function of evict() reads.
struct Age {
  std::deque<Key> keys;
  std::size_t evicted = 0;
  bool refuses = false;
};

template <class Pool> class EvictionModel {
  struct Object {
    Key key;
    std::uint64_t value;
  };

 public:
  EvictionModel(Pool& pool, Age& age, std::uint64_t seed) : pool_(pool), age_(age), source_(seed) {}

  void run(std::size_t operations) {
    for (std::size_t i = 0; i != operations; ++i) {
      std::size_t const what = source_.below(100);
      if (what < 55) allocate();
      else if (what < 75) release();
      else if (what < 80) touch();
      else if (what < 85) reserve();
      else if (what < 90) cancel();
      else if (what < 92) age_.refuses = !age_.refuses;
      else if (what < 93) clear();
      if (i % 64 == 0) check();
    }
    clear();
    check();
  }

 private:
  [[nodiscard]] bool is_full() const { return live_.size() + reserved_.size() == capacity; }
  /// What the pool is about to do. Returns: true if a slot is to be had.
  bool expect_room() {
    if (!is_full()) return true;
    if (age_.refuses || live_.empty()) return false;
    live_.pop_front();
    ++evicted_;
    return true;
  }
  void allocate() {
    bool const expected = expect_room();
    auto handle = pool_.try_allocate(++next_);
    EXPECT((handle != nullptr) == expected);
    if (!handle) return;
    live_.push_back({pool_.key(handle), next_});
    age_.keys.push_back(live_.back().key);
    (void)handle.release();
  }
  void release() {
    if (live_.empty()) return;
    std::size_t const at = source_.below(live_.size());
    pool_.adopt(pool_.get(live_[at].key)).reset();
    live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
    age_.keys.erase(age_.keys.begin() + static_cast<std::ptrdiff_t>(at));
  }
  /// Makes an object the youngest, as a cache does.
  void touch() {
    if (live_.empty()) return;
    auto const at = static_cast<std::ptrdiff_t>(source_.below(live_.size()));
    std::rotate(live_.begin() + at, live_.begin() + at + 1, live_.end());
    std::rotate(age_.keys.begin() + at, age_.keys.begin() + at + 1, age_.keys.end());
  }
  void reserve() {
    bool const expected = expect_room();
    Key const key = pool_.try_reserve_key();
    EXPECT(static_cast<bool>(key) == expected);
    if (key) reserved_.push_back(key);
  }
  void cancel() {
    if (reserved_.empty()) return;
    EXPECT(pool_.try_cancel(reserved_.back()));
    reserved_.pop_back();
  }
  void clear() {
    pool_.clear();
    live_.clear(), reserved_.clear(), age_.keys.clear();
  }
  void check() {
    EXPECT(age_.evicted == evicted_ && age_.keys.size() == live_.size());
    EXPECT(pool_.allocated() == live_.size() + reserved_.size() && pool_.check_invariants());
    for (Object const& object : live_) {
      Tracked const* const found = pool_.get(object.key);
      EXPECT(found != nullptr && found->value() == object.value);
    }
    for (Key const key : reserved_) EXPECT(pool_.get(key) == nullptr);
    std::size_t met = 0;
    pool_.for_each([&](Tracked const&) { ++met; });
    EXPECT(met == live_.size());
  }

  Pool& pool_;
  Age& age_;
  model::SeededSource source_;
  std::uint64_t next_ = 0;
  std::size_t evicted_ = 0;
  std::deque<Object> live_;
  std::vector<Key> reserved_;
};

struct EndOldest {
  Age* age = nullptr;
  template <class Pool> bool operator()(Pool& pool) const {
    if (age->refuses || age->keys.empty()) return false;
    pool.adopt(pool.get(age->keys.front())).reset();
    age->keys.pop_front();
    ++age->evicted;
    return true;
  }
};
using EvictOldest = Evict<EndOldest>;

}  // namespace

TEMPLATE_TEST_CASE("model: eviction against a list in the order of age", "",
                   (FixedPool<Tracked, Generations, EvictOldest>),
                   (FixedPool<Tracked, Generations, EvictOldest, BitmapAllocator, NoChecks>),
                   (FixedPool<Tracked, Generations, EvictOldest, FreeListAllocator, FullChecks>),
                   (FixedPool<Tracked, Generations, EvictOldest, InlineStorage<capacity>>),
                   (GrowingPool<Tracked, Generations, EvictOldest, FullChecks>),
                   (GrowingPool<Tracked, Generations, EvictOldest, MutexLock, NoChecks>),
                   (ThreadSafePool<Tracked, Generations, EvictOldest>),
                   (ThreadSafePool<Tracked, Generations, EvictOldest, NoCache, NoChecks>)) {
  PoolConfig config{.capacity = capacity, .max_capacity = capacity};
  if constexpr (requires(TestType& pool) { pool.reserve(1); })
    config = {.capacity = 5, .max_capacity = capacity, .growth_strategy = GrowthStrategy::linear(7)};
  for (std::uint64_t seed = 0; seed != 10; ++seed) {
    test::Audit const audit;
    Age age;
    TestType pool(config, EvictOldest(EndOldest{&age}));
    EvictionModel<TestType>(pool, age, seed).run(3'000);
    EXPECT(age.evicted > 100);
  }
}
