// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on keys against a list of all keys that were ever made. A key must find its object while that
// lives, and nothing ever after; a slot that served as many keyed objects as its generations allow has the key that
// names nothing for others.
#include "model/source.hpp"
#include "support/audit.hpp"
#include "support/expect.hpp"

#include <fastalloc/fastalloc.hpp>

#include <map>
#include <vector>

using namespace fastalloc;

namespace {

constexpr std::size_t fixed_capacity = 90;

template <class Pool> class KeysModel {
  struct Object {
    typename Pool::handle_type handle;
    std::size_t key = none;  ///< in keys_
  };
  struct Made {
    Key key;
    test::Tracked* object;  ///< null when it is gone
  };
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

 public:
  KeysModel(Pool& pool, std::size_t uses, std::uint64_t seed) : pool_(pool), uses_(uses), source_(seed) {}

  void run(std::size_t operations) {
    for (std::size_t i = 0; i != operations; ++i) {
      std::size_t const what = source_.below(100);
      if (what < 36) allocate();
      else if (what < 40) allocate_at();
      else if (what < 63) release();
      else if (what < 66) reserve();
      else if (what < 68) build();
      else if (what < 70) cancel();
      else if (what < 85) make_key();
      else if (what < 98) look_up(source_.below(made_.empty() ? 1 : made_.size()));
      else if (what < 99) shrink();
      else phase_ = source_.below(3);
      if (i % 2048 == 0) check();
    }
    check();
    while (!live_.empty()) release();
    while (!reserved_.empty()) cancel();
    check();
  }

 private:
  void allocate() {
    if (phase_ == 1 && live_.size() > 20) return release();
    auto handle = pool_.try_allocate(made_.size());
    if constexpr (!requires { pool_.shrink_to_fit(); }) EXPECT((handle != nullptr) == (in_use() < fixed_capacity));
    if (handle) live_.push_back({std::move(handle)});
  }
  /// In a fixed pool with a bitmap: succeeds if, and only if, the slot is free.
  void allocate_at() {
    if constexpr (requires { pool_.live(); } && !requires { pool_.shrink_to_fit(); }) {
      std::size_t const index = source_.below(fixed_capacity);
      bool free = true;
      for (Object const& object : live_) free = free && pool_.index_of(object.handle) != index;
      for (std::size_t const i : reserved_) free = free && made_[i].key.index() != index;
      auto handle = pool_.try_allocate_at(index, made_.size());
      EXPECT((handle != nullptr) == free && (!handle || pool_.index_of(handle) == index));
      if (handle) live_.push_back({std::move(handle)});
    }
  }
  void reserve() {
    Key const key = pool_.try_reserve_key();
    if constexpr (!requires { pool_.shrink_to_fit(); }) EXPECT(!key || in_use() < fixed_capacity);
    if (!key) return;
    EXPECT(served_[key.index()] < uses_);
    reserved_.push_back(made_.size());
    made_.push_back({key, nullptr});
  }
  /// Returns: a reserved key's place in made_; it is reserved no more.
  std::size_t take_reserved() {
    std::swap(reserved_[source_.below(reserved_.size())], reserved_.back());
    std::size_t const i = reserved_.back();
    reserved_.pop_back();
    return i;
  }
  void build() {
    if (reserved_.empty()) return;
    std::size_t const i = take_reserved();
    auto handle = pool_.build(made_[i].key, i);
    made_[i].object = handle.get();
    live_.push_back({std::move(handle), i});
  }
  void cancel() {
    if (reserved_.empty()) return;
    std::size_t const i = take_reserved();
    EXPECT(pool_.try_cancel(made_[i].key) && !pool_.try_cancel(made_[i].key) && !pool_.try_build(made_[i].key, i));
    ++served_[made_[i].key.index()];
  }
  [[nodiscard]] std::size_t in_use() const { return live_.size() + reserved_.size(); }
  void release() {
    if (live_.empty()) return;
    std::size_t const i = source_.below(live_.size());
    std::swap(live_[i], live_.back());
    if (std::size_t const key = live_.back().key; key != none) {
      made_[key].object = nullptr;
      ++served_[made_[key].key.index()];
    }
    live_.pop_back();
  }
  void make_key() {
    if (live_.empty()) return;
    Object& object = live_[source_.below(live_.size())];
    Key const key = pool_.key(object.handle);
    if (!key) {
      EXPECT(object.key == none && key == Key() && uses_ <= made_.size());
      return;
    }
    if (object.key == none) {
      EXPECT(served_[key.index()] < uses_);
      object.key = made_.size();
      made_.push_back({key, object.handle.get()});
    }
    EXPECT(made_[object.key].key == key);
  }
  void look_up(std::size_t i) {
    if (i < made_.size())
      EXPECT(pool_.get(made_[i].key) == made_[i].object &&
             pool_.contains(made_[i].key) == (made_[i].object != nullptr));
  }
  void shrink() {
    if constexpr (requires { pool_.shrink_to_fit(); }) (void)pool_.shrink_to_fit();
  }
  void check() {
    for (std::size_t i = 0; i != made_.size(); ++i) look_up(i);
    EXPECT(pool_.allocated() == in_use());
    if constexpr (!requires { pool_.shrink_to_fit(); }) EXPECT(pool_.capacity() == fixed_capacity);
    std::size_t met = 0;
    pool_.for_each([&](test::Tracked const&) { ++met; });
    EXPECT(met == live_.size());
    EXPECT(pool_.check_invariants());
  }

  Pool& pool_;
  std::size_t uses_;  ///< keyed objects that a slot may serve
  model::SeededSource source_;
  std::vector<Object> live_;
  std::vector<Made> made_;
  std::vector<std::size_t> reserved_;  ///< in made_
  std::map<std::uint32_t, std::size_t> served_;
  std::size_t phase_ = 0;
};

template <class Slots, class Keys> void run_all(std::size_t uses, std::size_t operations) {
  test::Audit audit;
  auto const run = [&](auto& pool, std::uint64_t seed) { KeysModel(pool, uses, seed).run(operations); };
  // generations of singles
  PoolConfig const growing{.capacity = 10, .max_capacity = 300, .growth_strategy = GrowthStrategy::linear(40)};
  PoolConfig const paged{
      .capacity = 10, .max_capacity = 700, .growth_strategy = GrowthStrategy::linear(150), .alignment = 128};
  {
    FixedPool<test::Tracked, Slots, Keys, FullChecks> pool(fixed_capacity);
    run(pool, 1);
  }
  {
    FixedPool<test::Tracked, Slots, Keys> pool(PoolConfig{.capacity = fixed_capacity, .alignment = 64});
    run(pool, 5);
  }
  {
    FixedPool<test::Tracked, Slots, Keys, NoChecks, InlineStorage<fixed_capacity>> pool;
    run(pool, 2);
  }
  {
    GrowingPool<test::Tracked, Slots, Keys, NoChecks, test::CountingStorage> pool(growing);
    run(pool, 3);
  }
  {
    ThreadSafePool<test::Tracked, Slots, Keys, FullChecks, test::CountingStorage> pool(growing);
    run(pool, 4);
  }
  {
    GrowingPool<test::Tracked, Slots, Keys, FullChecks, test::CountingStorage> pool(paged);
    run(pool, 6);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("model: keys against the list of all that were made", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  constexpr std::size_t share = FASTALLOC_ASAN ? 4 : 1;
  run_all<TestType, Generations>(std::size_t{1} << 30, 40'000 / share);
  run_all<TestType, BasicGenerations<3>>(7, 10'000 / share);
}
