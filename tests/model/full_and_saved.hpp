// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on pools with HeapFallback, and on pools that are saved and loaded, each against a reference that
// is too simple to be wrong. As driver.hpp: decisions come from a source, so it is a random test and a fuzz target.
//
//   Falling    HeapFallback                  a list of live objects: in a slot if one was free, else from the heap
//   Saved      save(), load(), clear(), reserve_key(), build(), cancel(), allocate_at()
//                                            a map of keys, of which each saved state has a copy
#pragma once

#include "support/tracked.hpp"

#include <fastalloc/fastalloc.hpp>

#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace model {

/// Runs `operations` steps of a model. Returns: "" or what the pool did wrong.
template <class Model, class Source> std::string run_steps(Model& model, Source& source, std::size_t operations) {
  for (std::size_t i = 0; i != operations && !source.ended() && model.failure.empty(); ++i) {
    model.step(source);
    if (i % 16 == 0) model.look();
  }
  model.look();
  model.end();
  return model.failure;
}

struct Judge {
  std::string failure;
  void require(bool ok, char const* text) {
    if (!ok && failure.empty()) failure = text;
  }
};

template <template <class, class...> class Template, class... Ps> struct Falling : Judge {
  using T = test::Tracked;
  using Pool = Template<T, Ps..., fastalloc::HeapFallback>;
  static constexpr std::size_t capacity = 10;
  struct Owned {
    std::uint64_t value;
    bool in_slot;
    typename Pool::handle_type handle{};
    fastalloc::Handle<T> erased{};
    T* released = nullptr;
    [[nodiscard]] T* get() const { return released ? released : handle ? handle.get() : erased.get(); }
  };

  template <class Source> void step(Source& source) {
    std::size_t const what = source.below(16);
    if (what < 8) {
      if (owned.size() == 3 * capacity) return;
      bool const free = slots != capacity;
      auto handle = what % 2 == 0 ? pool.allocate(++values) : pool.try_allocate(++values);
      require(static_cast<bool>(handle) && handle->value() == values, "heap: a request failed");
      if (!handle) return;
      require(pool.owns(handle.get()) == free, "heap: an object is in a slot, or not, against the count");
      slots += free ? 1 : 0;
      owned.push_back({values, free, std::move(handle)});
    } else if (what < 13) {
      if (owned.empty()) return;
      std::swap(owned[source.below(owned.size())], owned.back());
      Owned& last = owned.back();
      require(last.get()->value() == last.value && last.get()->intact(), "heap: a live object was overwritten");
      slots -= last.in_slot ? 1 : 0;
      if (last.released != nullptr) last.handle = pool.adopt(last.released);
      owned.pop_back();
    } else if (what < 14) {
      if (owned.empty()) return;
      Owned& one = owned[source.below(owned.size())];
      if (one.handle) one.erased = std::move(one.handle);
      else if (one.erased) one.released = one.erased.release();
      else one.handle = pool.adopt(std::exchange(one.released, nullptr));
    } else if (what < 15) {
      std::size_t const n = source.below(capacity + 2);
      bool const fits = n <= capacity - slots;
      require(pool.try_allocate_batch_handle(n, std::uint64_t{1}).size() == (fits ? n : 0),
              "heap: a batch took from the heap, or failed");
    } else if (source.below(8) == 0) {  // clear() ends what is in slots, and no handle owns
      for (Owned& one : owned)
        if (one.in_slot && one.released == nullptr)
          one.released = one.handle ? one.handle.release() : one.erased.release();
      std::erase_if(owned, [](Owned const& one) { return one.in_slot; });
      slots = 0;
      pool.clear();
    }
  }
  void look() {
    require(pool.allocated() == slots && pool.heap_objects() == owned.size() - slots, "heap: the counts are wrong");
    std::size_t met = 0;
    pool.for_each([&](T const&) { ++met; });
    require(met == slots, "heap: for_each() meets other objects than those in slots");
    for (Owned const& one : owned)
      require(one.get()->value() == one.value && one.get()->intact(), "heap: a live object was overwritten");
    require(test::ledger().live() == before + owned.size(), "heap: objects were leaked, or ended too early");
    require(pool.check_invariants() && test::ledger().mistakes() == 0, "heap: the account is wrong");
  }
  void end() {
    for (Owned& one : owned)
      if (one.released != nullptr) one.handle = pool.adopt(one.released);
    owned.clear();
    require(pool.is_empty() && pool.heap_objects() == 0, "heap: objects are left");
  }

  std::size_t before = test::ledger().live();
  Pool pool{fastalloc::PoolConfig{.capacity = capacity}};
  std::vector<Owned> owned{};
  std::size_t slots = 0;
  std::uint64_t values = 0;
};

struct Frozen {
  std::uint64_t value;
  std::uint64_t payload;
};

template <class... Ps> struct Saved : Judge {
  using Key = fastalloc::Key;
  using Pool = fastalloc::FixedPool<Frozen, fastalloc::Generations, Ps...>;
  static constexpr bool is_bitmap = requires(Pool& pool) { pool.live(); };
  static constexpr std::size_t capacity = 70, states = 3;
  struct World {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> objects{};  ///< by their keys
    std::vector<Key> reserved{};
  };
  struct State {
    std::vector<std::byte> bytes{};
    World world{};
    Key next{};  ///< of the object that was allocated next
  };
  static auto name(Key key) { return std::pair(key.index(), key.generation()); }

  void enter(Frozen* object) {
    ++values;
    *object = {values, ~values};
    Key const key = pool.key(object);
    made.push_back(key);
    require(world.objects.emplace(name(key), values).second, "saved: two live objects have one key");
  }
  template <class Source> void step(Source& source) {
    std::size_t const what = source.below(32);
    if (what < 12) {
      auto handle = pool.try_allocate();
      require(static_cast<bool>(handle) == (in_use() < capacity), "saved: success and failure are confused");
      if (handle) enter(handle.release());
    } else if (what < 20) {
      if (world.objects.empty()) return;
      auto one = world.objects.begin();
      std::advance(one, static_cast<std::ptrdiff_t>(source.below(world.objects.size())));
      pool.adopt(pool.get(Key(one->first.first, one->first.second))).reset();
      world.objects.erase(one);
    } else if (what < 22) {
      Key const key = pool.try_reserve_key();
      require(static_cast<bool>(key) == (in_use() < capacity), "saved: a key is reserved, or not, against the count");
      if (key) world.reserved.push_back(key), made.push_back(key);
    } else if (what < 24) {
      if (world.reserved.empty()) return;
      std::swap(world.reserved[source.below(world.reserved.size())], world.reserved.back());
      Key const key = world.reserved.back();
      world.reserved.pop_back();
      require(pool.get(key) == nullptr, "saved: a reserved key finds an object");
      if (what == 22) return require(pool.try_cancel(key), "saved: a reserved key cannot be cancelled");
      auto handle = pool.try_build(key);
      require(static_cast<bool>(handle), "saved: a reserved key cannot be built");
      if (handle) enter(handle.release());
    } else if (what < 25) {
      if constexpr (is_bitmap) {
        std::size_t const index = source.below(capacity);
        auto handle = pool.try_allocate_at(index);
        require(static_cast<bool>(handle) == !uses(index), "saved: allocate_at() and the reference differ");
        if (handle) enter(handle.release());
      }
    } else if (what < 26) {
      if (source.below(4) != 0) return;
      pool.clear();
      world = {};
    } else if (what < 28) {
      save(saved[source.below(states)]);
    } else if (what < 30) {
      load(saved[source.below(states)]);
    } else {
      damage(source);
    }
  }
  void save(State& state) {
    state.bytes.resize(pool.saved_bytes());
    require(pool.save(state.bytes) == state.bytes.size(), "saved: save() writes other than saved_bytes()");
    state.world = world;
    state.next = Key();
    if (auto handle = pool.try_allocate()) state.next = pool.key(handle);
  }
  void load(State const& state) {
    if (state.bytes.empty()) return;
    require(pool.load(state.bytes).has_value(), "saved: a saved state was refused");
    world = state.world;
    look();
    auto const handle = pool.try_allocate();
    require((handle ? pool.key(handle) : Key()) == state.next,
            "saved: what is allocated next has another key than then");
  }
  /// Data that is cut, or whose header has a wrong bit, is refused, and nothing changes.
  template <class Source> void damage(Source& source) {
    State const& state = saved[source.below(states)];
    if (state.bytes.empty()) return;
    std::vector<std::byte> bytes = state.bytes;
    if (source.below(2) == 0) bytes.resize(source.below(bytes.size()));
    else bytes[source.below(120)] ^= std::byte{1} << source.below(8);
    require(!pool.load(bytes).has_value(), "saved: damaged data was loaded");
    look();
  }
  void look() {
    require(pool.allocated() == in_use(), "saved: allocated() is wrong");
    std::size_t met = 0;
    pool.for_each([&](Frozen const& object) {
      auto const found = world.objects.find(name(pool.key(&object)));
      require(found != world.objects.end() && found->second == object.value && object.payload == ~object.value,
              "saved: an object has another key or value than it should have");
      ++met;
    });
    require(met == world.objects.size(), "saved: for_each() meets other objects");
    for (Key const key : made)
      require((pool.get(key) != nullptr) == world.objects.contains(name(key)), "saved: a key finds what is gone");
    if (made.size() > 200) made.erase(made.begin(), made.end() - 100);
    require(pool.check_invariants(), "saved: the account is wrong");
  }
  void end() {
    for (Key const key : world.reserved) require(pool.try_cancel(key), "saved: a reserved key was lost");
    pool.clear();
    require(pool.is_empty(), "saved: objects are left");
  }
  [[nodiscard]] std::size_t in_use() const { return world.objects.size() + world.reserved.size(); }
  [[nodiscard]] bool uses(std::size_t index) const {
    bool used = false;
    for (auto const& object : world.objects) used = used || object.first.first == index;
    for (Key const key : world.reserved) used = used || key.index() == index;
    return used;
  }

  Pool pool{capacity};
  World world{};
  State saved[states]{};
  std::vector<Key> made{};  ///< the last ones
  std::uint64_t values = 0;
};

/// Calls run(model, operations) for each model, with several slot allocators and kinds of pool.
template <class Run> void run_full_and_saved(Run&& run) {
  using namespace fastalloc;
  auto const one = [&](auto type, std::size_t operations) {
    typename decltype(type)::type model;
    run(model, operations);
  };
  one(std::type_identity<Falling<FixedPool, FullChecks>>(), 60'000);
  one(std::type_identity<Falling<FixedPool, NoChecks, BitmapAllocator>>(), 40'000);
  one(std::type_identity<Falling<ThreadSafePool, FreeListAllocator, DebugChecks>>(), 40'000);
  one(std::type_identity<Saved<StackAllocator, FullChecks>>(), 30'000);
  one(std::type_identity<Saved<FreeListAllocator, NoChecks>>(), 30'000);
  one(std::type_identity<Saved<BitmapAllocator, NoChecks>>(), 30'000);
}

}  // namespace model
