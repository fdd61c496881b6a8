// SPDX-License-Identifier: MIT OR Apache-2.0
// The scenarios: what happens before the measured operations and between them. Each is a template over a subject.
//
// Before an object is freed the program reads it, as one does that is about to give it up: so neither the handle nor
// the object misses the cache inside of free. The place for the handle is in the cache, too. What allocate writes into
// was free, and may miss.
#include "heap.hpp"
#include "latency.hpp"
#include "pools.hpp"

#include <fastalloc/adapters/pool_resource.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace bench::latency {
namespace {

constexpr std::uint64_t cookie = 0x9e3779b97f4a7c15;

/// The subject and what lives in it; object i holds cookie ^ i.
template <Subject S> class Bench {
 public:
  Bench(S& subject, std::size_t objects, Record& record)
      : subject_(subject), live_(objects), nothing_(record.of(nothing)), allocate_(record.of(allocating)),
        free_(record.of(freeing)) {}

  void fill() {
    for (std::size_t i = 0; i != live_.size(); ++i) live_[i] = subject_.make(cookie ^ i);
  }
  void drop(std::size_t i) { subject_.kill(live_[i]); }

  void free(std::size_t i) {
    if (S::object(live_[i])->value != (cookie ^ i))
      throw std::runtime_error("an object does not hold what was written into it");
    timed(nothing_, [] {});
    timed(free_, [&] { subject_.kill(live_[i]); });
  }
  void allocate(std::size_t i) {
    touch(live_[i]);
    timed(allocate_, [&] { live_[i] = subject_.make(cookie ^ i); });
    escape(S::object(live_[i]));
  }
  /// Frees what the scenario left, so that a pool ends empty.
  void drop_rest(std::vector<std::uint32_t> const& places) {
    for (std::uint32_t i : places) drop(i);
  }

 private:
  S& subject_;
  std::vector<typename S::owner> live_;
  Histogram& nothing_;
  Histogram& allocate_;
  Histogram& free_;
};

std::vector<std::uint32_t> numbers(std::size_t n) {
  std::vector<std::uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

void shuffle(std::vector<std::uint32_t>& places, Random& random) {
  for (std::size_t i = places.size(); i > 1; --i) std::swap(places[i - 1], places[random.below(i)]);
}

/// The first operations of the process.
template <Subject S> void first_operations(Record& record, Size size) {
  S subject(size.objects);
  Bench<S> bench(subject, size.objects, record);
  Measured const measured(record);
  for (std::size_t i = 0; i != size.objects; ++i) bench.allocate(i);
  for (std::size_t i = 0; i != size.objects; ++i) bench.free(i);
}

/// Half of the objects go in random order and come again; then single ones are replaced.
template <Subject S> void fill_and_drain(Record& record, Size size) {
  S subject(size.objects);
  Bench<S> bench(subject, size.objects, record);
  bench.fill();
  auto places = numbers(size.objects);
  Random random;
  std::optional<Measured> measured(std::in_place, record);
  for (std::size_t done = 0; done < size.operations; done += size.objects) {
    shuffle(places, random);
    for (std::size_t i = 0; i != size.objects / 2; ++i) bench.free(places[i]);
    for (std::size_t i = 0; i != size.objects / 2; ++i) bench.allocate(places[i]);
    for (std::size_t i = size.objects / 2; i != size.objects; ++i) bench.free(places[i]), bench.allocate(places[i]);
  }
  measured.reset();
  bench.drop_rest(places);
}

/// Replaces one to sixteen random objects at a time, of a full pool.
template <Subject S> void replace(Record& record, Size size) {
  S subject(size.objects);
  Bench<S> bench(subject, size.objects, record);
  bench.fill();
  auto const places = numbers(size.objects);
  Random random;
  std::optional<Measured> measured(std::in_place, record);
  for (std::size_t done = 0; done < size.operations;) {
    std::size_t const count = 1 + random.below(std::min<std::size_t>(16, size.objects));
    std::size_t const first = random.below(size.objects);
    // far from each other
    auto const place = [&](std::size_t i) { return (first + i * (size.objects / 16)) % size.objects; };
    for (std::size_t i = 0; i != count; ++i) bench.free(place(i));
    for (std::size_t i = 0; i != count; ++i) bench.allocate(place(i));
    done += count;
  }
  measured.reset();
  bench.drop_rest(places);
}

/// Blocks of 16 to 4096 bytes, all sizes equally often on a logarithmic scale, of which random ones are replaced.
class Noise {
 public:
  explicit Noise(std::size_t blocks) : blocks_(blocks) { step(4 * blocks); }
  void step(std::size_t count) {
    for (std::size_t i = 0; i != count; ++i) {
      void*& block = blocks_[random_.below(blocks_.size())].pointer;
      std::free(block);
      std::size_t const power = std::size_t{16} << random_.below(8);
      block = random_.below(4) == 0 ? nullptr : std::malloc(power + random_.below(power));
      if (block != nullptr) *static_cast<char*>(block) = 1;
    }
  }

 private:
  struct Block {
    Block() = default;
    Block(Block const&) = delete;
    ~Block() { std::free(pointer); }
    void* pointer = nullptr;
  };
  std::vector<Block> blocks_;
  Random random_;
};

/// The number of live objects walks between a quarter and three quarters; who goes and in which order is random. The
/// heap holds blocks of many sizes, some of which are replaced in between.
template <Subject S> void walk(Record& record, Size size) {
  Noise noise(size.objects);
  S subject(size.objects);
  Bench<S> bench(subject, size.objects, record);
  bench.fill();
  auto places = numbers(size.objects);  // the first `live` of them are taken
  Random random;
  shuffle(places, random);
  std::size_t live = size.objects;
  while (live != size.objects / 2) bench.drop(places[--live]);
  std::optional<Measured> measured(std::in_place, record);
  std::size_t const most = std::max<std::size_t>(1, size.objects / 50);
  for (std::size_t done = 0; done < 2 * size.operations;) {
    std::size_t const count = 1 + random.below(most);
    bool const up = live < size.objects / 4 || (live < size.objects / 4 * 3 && random.below(2) == 0);
    for (std::size_t i = 0; i != count; ++i) {
      if (up) {
        bench.allocate(places[live++]);
      } else {
        std::swap(places[random.below(live)], places[live - 1]);
        bench.free(places[--live]);
      }
    }
    measured->leave_out([&] { noise.step(1 + count / 10); });
    done += count;
  }
  measured.reset();
  places.resize(live);
  bench.drop_rest(places);
}

/// A pool that has touched its memory.
template <class Pool> struct Touched : Ours<Pool> {
  explicit Touched(std::size_t n) : Ours<Pool>(fastalloc::PoolConfig{.capacity = n, .pre_initialize = true}) {}
};

template <Subject S> void add(std::vector<Case>& cases, std::string const& side, bool general = false) {
  cases.push_back({fresh, side, first_operations<S>, {10'000, 10'000}, 100, general});
  cases.push_back({steady, side, fill_and_drain<S>, {10'000, 1'000'000}, 6, general});
  cases.push_back({fragmented, side, walk<S>, {100'000, 600'000}, 10, general});
  cases.push_back({million, side, replace<S>, {1'000'000, 600'000}, 8, general});
}

}  // namespace

std::vector<Case> scenario_cases() {
  using namespace fastalloc;
  std::vector<Case> cases;
  add<Touched<FixedPool<Object>>>(cases, "FixedPool");
  add<Touched<FixedPool<Object, FreeListAllocator>>>(cases, "FixedPool, FreeListAllocator");
  add<Touched<FixedPool<Object, BitmapAllocator>>>(cases, "FixedPool, BitmapAllocator");
  add<Touched<GrowingPool<Object>>>(cases, "GrowingPool");
  add<Touched<ThreadSafePool<Object>>>(cases, "ThreadSafePool");
  add<Touched<ThreadSafePool<Object, LockFree>>>(cases, "ThreadSafePool, LockFree");
  add<Touched<ThreadLocalPool<Object>>>(cases, "ThreadLocalPool");
  add<Ours<FixedPool<Object>>>(cases, "FixedPool, not pre-initialized");
  std::erase_if(cases,
                [](Case const& one) { return one.side.ends_with("not pre-initialized") && one.scenario != fresh; });
  add<Pmr<PoolResource>>(cases, "PoolResource");
  add<Malloc>(cases, "malloc", true);
  return cases;
}

}  // namespace bench::latency
