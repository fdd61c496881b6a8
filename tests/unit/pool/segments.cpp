// SPDX-License-Identifier: MIT OR Apache-2.0
// Whose is this address? Pools of many segments, against a search through all of their blocks.
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/debug/occupancy.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;

namespace {

/// A segment holds 128 of them.
struct Object {
  explicit Object(std::uint64_t v = 0) noexcept : value(v) {}
  std::uint64_t value;
  std::byte rest[1900];
};
constexpr std::ptrdiff_t segment = FixedPool<Object, CompactHandles>::segment_bytes;

void const* moved(void const* p, std::ptrdiff_t by) {
  return reinterpret_cast<void const*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(by));
}

/// A pool, and all that a user knows of it.
template <class Pool> class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {}

  void run(int rounds) {
    for (int round = 0; round != rounds; ++round) {
      act(static_cast<int>(random_() % 6));
      CHECK(look());
      CHECK(pool_.check_invariants());
    }
    live_.clear();
    pool_.shrink_to_fit();
    CHECK(look());
  }

 private:
  void act(int what) {
    if (what == 0 && pool_.capacity() < most) {
      pool_.reserve(pool_.capacity() + 1 + random_() % 700);
    } else if (what == 1) {  // a piece that came together, so that whole blocks are free
      std::size_t const from = live_.empty() ? 0 : random_() % live_.size();
      auto const begin = live_.begin() + static_cast<std::ptrdiff_t>(from);
      live_.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min<std::size_t>(live_.size() - from, 2'000)));
    } else if (what == 2) {
      pool_.shrink_to_fit();
    } else if (what == 3 && random_() % 3 == 0) {
      for (auto& handle : live_) (void)handle.release();
      live_.clear();
      pool_.clear();
    } else if (what == 4) {
      std::shuffle(live_.begin(), live_.end(), random_);
      live_.resize(live_.size() - live_.size() / 4);
    } else {
      for (std::size_t n = random_() % 1'500; n != 0 && live_.size() < most; --n)
        live_.push_back(pool_.allocate(live_.size()));
    }
  }

  [[nodiscard]] bool look() {
    auto const blocks = detail::DebugAccess::view(pool_).blocks;
    auto const holds = [&](detail::BlockView const& b, void const* p) {
      auto const offset = reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(b.data);
      return offset < b.slot_count * b.stride;
    };
    auto const find = [&](void const* p) {
      return std::find_if(blocks.begin(), blocks.end(), [&](auto const& b) { return holds(b, p); });
    };
    auto const right = [&](void const* p) { return pool_.owns(p) == (find(p) != blocks.end()); };

    bool all = right(nullptr) && right(this) && right(moved(nullptr, -1)) && !pool_.owns(stranger_.get());
    std::set<std::size_t> indices;
    for (auto const& handle : live_) {
      auto const block = find(handle.get());
      if (block == blocks.end()) return false;
      auto const place = static_cast<std::size_t>(reinterpret_cast<std::byte*>(handle.get()) - block->data);
      std::size_t const index = pool_.index_of(handle);
      all = all && pool_.owns(handle.get()) && pool_.owns(moved(handle.get(), 1 + segment % 1'900)) &&
            index == block->first + place / block->stride && indices.insert(index).second;
    }
    // Also where blocks were once.
    for (auto const& b : blocks)
      if (known_.size() < 1'000) known_.push_back(b.data);
    for (auto const* const data : known_)
      for (std::ptrdiff_t const far : {std::ptrdiff_t{0}, segment, -segment, 8 * segment, segment << 9})
        for (std::ptrdiff_t const near : {std::ptrdiff_t{0}, std::ptrdiff_t{-1}, std::ptrdiff_t{-4096}, segment / 2})
          all = all && right(moved(data, far + near));
    for (auto const& b : blocks)
      all = all && right(b.data + b.slot_count * b.stride) && right(b.data + b.slot_count * b.stride - 1);
    return all;
  }

  static constexpr std::size_t most = 12'000;
  std::mt19937 random_;
  Pool other_{10};
  typename Pool::handle_type stranger_ = other_.allocate();
  Pool pool_{PoolConfig{.capacity = 20, .growth_strategy = GrowthStrategy::linear(130)}};
  std::vector<typename Pool::handle_type> live_;
  std::vector<std::byte const*> known_;
};

/// Each wrong address is refused with its reason, by a pool of `count` objects in several segments.
template <class Pool> void misuse(Pool& pool, std::size_t count) {
  test::RecordedErrors errors;
  Pool stranger(10);
  auto const strange = stranger.allocate();
  std::vector<typename Pool::handle_type> live;
  while (live.size() != count) live.push_back(pool.allocate());
  auto const by_address = [](auto const& a, auto const& b) { return std::less<>{}(a.get(), b.get()); };
  std::sort(live.begin(), live.end(), by_address);
  auto const refused = [&](void const* p, char const* text) {
    errors.clear();
    bool const none = pool.adopt(static_cast<Object*>(const_cast<void*>(p))) == nullptr;
    CHECK(none);
    REQUIRE(errors.count() == 1);
    CAPTURE(errors.last().text);
    CHECK(std::string(errors.last().text).find(text) != std::string::npos);
  };
  for (std::size_t const i : {std::size_t{0}, count / 3, count - 1}) {
    refused(moved(live[i].get(), 8), "middle of a slot");
    refused(moved(live[i].get(), 1'899), "middle of a slot");
  }
  void const* const first = live.front().get();
  void const* const last = live.back().get();
  refused(moved(first, -8), "not from this pool");  // the segment's head
  refused(moved(first, -segment), "not from this pool");
  refused(moved(first, -4 * segment), "not from this pool");
  refused(moved(last, segment), "not from this pool");
  refused(moved(last, segment << 12), "not from this pool");
  refused(strange.get(), "not from this pool");
  refused(&errors, "not from this pool");
  refused(moved(nullptr, -8), "not from this pool");
  void const* const gone = live[count / 2].get();
  live.erase(live.begin() + static_cast<std::ptrdiff_t>(count / 2));
  refused(gone, "not in use");
  for (auto& handle : live) {  // and all others are taken
    Object* const object = handle.release();
    handle = pool.adopt(object);
    if (handle.get() != object) FAIL_CHECK("an object was refused");
  }
  errors.clear();
  live.clear();
  CHECK(errors.count() == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("segments: pools that grow, shrink and are cleared know their addresses", "",
                   (GrowingPool<Object, CompactHandles, NoChecks>),
                   (ThreadSafePool<Object, CompactHandles, DebugChecks>)
                       MORE_ROWS((GrowingPool<Object, CompactHandles, FullChecks, FreeListAllocator>),
                                 (GrowingPool<Object, CompactHandles, BitmapAllocator, Generations>))) {
  for (unsigned const seed : {1U, 2U}) Model<TestType>(seed).run(40);
}

TEMPLATE_TEST_CASE("segments: wrong addresses are refused", "", (FixedPool<Object, CompactHandles, DebugChecks>),
                   (ThreadSafePool<Object, CompactHandles, FullChecks>)
                       MORE_ROWS((FixedPool<Object, CompactHandles, FullChecks, BitmapAllocator>),
                                 (GrowingPool<Object, CompactHandles, FullChecks, FreeListAllocator>),
                                 (ThreadSafePool<Object, CompactHandles, DebugChecks, NoCache>),
                                 (ThreadLocalPool<Object, CompactHandles, FullChecks>))) {
  TestType pool(1'500);
  misuse(pool, 1'500);
}

TEST_CASE("segments: without checks, owns() still tells") {
  FixedPool<Object, CompactHandles, NoChecks> pool(1'500), other(1'500);
  std::vector<decltype(pool)::handle_type> live, others;
  while (!pool.is_full()) live.push_back(pool.allocate()), others.push_back(other.allocate());
  bool all = true;
  for (std::size_t i = 0; i != live.size(); ++i)
    all = all && pool.owns(live[i].get()) && !pool.owns(others[i].get()) && other.owns(others[i].get());
  CHECK(all);
}

#if FASTALLOC_HAS_THREADS
TEST_CASE("segments: a pool of threads knows the addresses of all of them") {
  ThreadLocalPool<Object, CompactHandles, FullChecks> pool(
      PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(500)});
  std::vector<decltype(pool)::handle_type> theirs, own;
  std::thread([&] {
    while (theirs.size() != 3'000) theirs.push_back(pool.allocate());
  }).join();
  while (own.size() != 3'000) own.push_back(pool.allocate());
  bool all = true;
  for (auto* const live : {&theirs, &own}) {
    std::set<std::size_t> indices;
    for (auto& handle : *live) {
      all = all && pool.owns(handle.get()) && pool.owns(handle->rest + 100) &&
            indices.insert(pool.index_of(handle)).second;
      Object* const object = handle.release();
      handle = pool.adopt(object);
      all = all && handle.get() == object;
    }
  }
  CHECK(all);
  CHECK(!pool.owns(&pool));
  own.clear();
  theirs.clear();
}
#endif
