// SPDX-License-Identifier: MIT OR Apache-2.0
// What the measured pools go through: states made by hand to be as bad as can be, then random ones. Each scenario runs
// in a child of its own, leaves its pool behind, and returns false when an operation did not do what it should.
#pragma once

#include "steps/operations.hpp"

#if STEPS_CAN_BE_COUNTED

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace steps {

/// Twice the states (steps_machine --all and --table).
inline bool all_states = false;

[[gnu::noinline]] inline void nothing(void*) { asm volatile(""); }

inline void calibrate(Meter& meter, void* pool) {
  for (int i = 0; i != 3; ++i) measure(meter, call, nothing, pool);
}

/// A pool, and all that lives in it.
template <class Pool> class Stage {
  using Do = Operations<Pool>;
  using T = typename Pool::value_type;

 public:
  Stage(Pool& pool, std::size_t slots, Meter& meter, bool resets = false)
      : pool_(pool), slots_(slots), meter_(meter), resets_(resets) {
    live_.reserve(slots);
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t size() const { return live_.size(); }
  [[nodiscard]] T* at(std::size_t i) const { return live_[i]; }
  void expect(bool condition) { ok_ = ok_ && condition; }

  void pop(bool measured, Kind kind = allocate) {
    T* const object = measured ? measure(meter_, kind, Do::allocate, pool_) : Do::allocate(pool_);
    expect(object != nullptr);
    if (object != nullptr) live_.push_back(object);
  }
  void push(std::size_t i, bool measured, Kind kind = release) {
    T* const object = std::exchange(live_[i], live_.back());
    live_.pop_back();
    give_slot(object, measured, kind);
  }
  void give_slot(T* object, bool measured, Kind kind = release) {
    measured ? measure(meter_, kind, Do::release, pool_, object) : Do::release(pool_, object);
  }
  void refuse() { expect(measure(meter_, refused, Do::allocate, pool_) == nullptr); }
  void fill(std::size_t to, std::size_t border = 0) {
    while (ok_ && size() < to) pop(border != 0 && (size() % border == 0 || size() % border == border - 1));
  }

  /// All slots are in use: returns those for which chosen() is true, and takes them again. `last`: so many of each are
  /// measured.
  template <class Chosen> void give_and_take(Chosen&& chosen, std::size_t last) {
    std::vector<T*> gone;
    for (std::size_t i = 0; i < size();) {
      if (chosen(live_[i])) gone.push_back(live_[i]), live_[i] = live_.back(), live_.pop_back();
      else ++i;
    }
    for (std::size_t i = 0; i != gone.size(); ++i) give_slot(gone[i], i < 2 || i + last >= gone.size());
    for (std::size_t i = 0; i != gone.size(); ++i) pop(i < last || i + last >= gone.size());
  }

  /// Full, then one, two or three slots free at places where words and levels of a bitmap begin and end. The higher one
  /// first: the other order never took more.
  void borders(std::size_t base_places) {
    std::vector<T*> sorted = live_;
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::size_t> places;
    for (std::size_t unit = 1; unit < slots_; unit *= 64)
      for (std::size_t const place : {unit - 1, unit, 2 * unit - 1})
        if (place < slots_) places.push_back(place);
    for (std::size_t const back : {std::size_t{1}, std::size_t{64}, slots_ / 2}) places.push_back(slots_ - back);
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    std::size_t const step = std::max<std::size_t>(1, places.size() / base_places);
    for (std::size_t i = 0; i < places.size(); i += step) {
      for (std::size_t j = 0; j < (all_states ? places.size() : i); j += step) {
        std::size_t const k = (i + j) / 2;
        if (i == j || k == i || k == j) continue;
        for (std::size_t const place : {places[i], places[j], places[k]}) give_slot(sorted[place], true);
        std::vector<T*> again;
        for (int n = 0; n != 3; ++n) again.push_back(measure(meter_, allocate, Do::allocate, pool_));
        std::sort(again.begin(), again.end());
        std::vector<T*> were{sorted[places[i]], sorted[places[j]], sorted[places[k]]};
        std::sort(were.begin(), were.end());
        expect(again == were);
      }
    }
  }

  void random(unsigned seed, int bursts) {
    std::mt19937 next(seed);
    for (int burst = 0; burst != bursts; ++burst) {
      bool const takes = size() < slots_ && (size() < slots_ / 8 || next() % 2 != 0);
      std::size_t const n = next() % (slots_ / 8 + 2);
      for (std::size_t i = 0; i != n; ++i) {
        bool const measured = i < 2 || i + 2 >= n;
        if (takes ? size() == slots_ : size() == 0) break;
        if (takes) pop(measured);
        else push(next() % size(), measured);
      }
      for (int i = 0; i != 4 && size() > 1 && size() < slots_; ++i)
        next() % 2 != 0 ? pop(true) : push(next() % size(), true);
    }
  }

  void ask() {
    for (auto* const question : {Do::capacity, Do::allocated, Do::available})
      measure(meter_, questions, question, pool_);
    for (auto* const question : {Do::is_full, Do::is_empty}) measure(meter_, questions, question, pool_);
    if constexpr (Pool::has_statistics) {
      measure(meter_, statistics, Do::statistics, pool_);
      if (resets_) measure(meter_, reset, Do::reset, pool_);
    }
    for (void const* const p :
         {static_cast<void const*>(this), static_cast<void const*>(live_[0]), static_cast<void const*>(live_.back())})
      measure(meter_, owns, Do::owns, pool_, p);
    for (T const* const p : {live_[0], live_[size() / 2], live_.back()})
      measure(meter_, index_of, Do::index_of, pool_, p);
    auto handle = pool_.adopt(live_[0]);
    (void)measure(meter_, adopt, Do::adopt, pool_, handle).release();
  }

 private:
  Pool& pool_;
  std::size_t slots_;
  Meter& meter_;
  bool resets_;
  std::vector<T*> live_;
  bool ok_ = true;
};

/// FixedPool, GrowingPool, and ThreadSafePool without caches. `border`: slots of a block.
template <class Pool> bool run_plain(Pool& pool, std::size_t slots, Meter& meter, std::size_t border, bool has_levels) {
  calibrate(meter, &pool);
  Stage<Pool> stage(pool, slots, meter, true);
  for (int i = 0; i != 3; ++i) stage.pop(true);
  stage.ask();
  stage.push(1, true);
  stage.pop(true);
  stage.fill(slots - 2, border);
  stage.pop(true);
  stage.pop(true);
  stage.refuse();
  stage.refuse();
  stage.ask();
  for (int i = 0; i != 3; ++i) {
    stage.push(slots / 2, true, usual_release);
    stage.pop(true, usual_allocate);
  }
  for (std::size_t i = 0; i != 40; ++i) stage.push(stage.size() - 1, true);  // about StackAllocator::lookahead
  for (std::size_t i = 0; i != 40; ++i) stage.pop(true);
  stage.refuse();
  stage.borders(has_levels ? 7 : 3);
  // One slot of each word, of each 64 words, and so on; then all but one.
  for (std::size_t unit = 64; unit < slots; unit *= 64)
    stage.give_and_take([&](auto* object) { return pool.index_of(object) % unit == unit / 2; }, 5);
  stage.give_and_take([&](auto* object) { return pool.index_of(object) != slots / 2; }, 5);
  stage.refuse();
  for (unsigned seed = 1; seed != (all_states ? 3 : 2); ++seed) stage.random(seed, 12);
  stage.ask();
  while (stage.size() > 3) stage.push(stage.size() - 1, false);
  stage.ask();
  while (stage.size() != 0) stage.push(0, true);
  stage.pop(true);
  return stage.ok();
}

/// ThreadSafePool with caches: what a thread's own cache serves, what the lock serves, and what other threads' caches
/// must.
template <class Pool> bool run_cached(Pool& pool, std::size_t slots, Meter& meter) {
  constexpr std::size_t cache = fastalloc::ThreadCache<>::max_cached;
  calibrate(meter, &pool);
  Stage<Pool> stage(pool, slots, meter);
  // the thread gets its cache: memory from the heap, and the registry's lock
  for (int i = 0; i != 3; ++i) stage.pop(false);
  stage.fill(slots / 2);
  for (int i = 0; i != 20; ++i) stage.push(stage.size() - 1, false);
  for (int i = 0; i != 5; ++i) stage.push(stage.size() - 1, true, usual_release);
  for (int i = 0; i != 5; ++i) stage.pop(true, usual_allocate);
  for (std::size_t i = 0; i != cache + 10; ++i) stage.push(stage.size() - 1, i > cache / 2 - 40);
  for (std::size_t i = 0; i != cache + 10; ++i) stage.pop(i > cache / 2 - 40);
  stage.ask();
  // Another thread keeps a full cache.
  std::atomic<int> at{0};
  std::thread other([&] {
    std::vector<typename Pool::handle_type> mine;
    for (std::size_t i = 0; i != cache / 2; ++i) mine.push_back(pool.allocate(std::uint64_t{1}));
    mine.clear();
    at = 1;
    while (at != 2) std::this_thread::yield();
  });
  while (at != 1) std::this_thread::yield();
  stage.fill(slots - cache - 10);
  while (stage.ok() && stage.size() != slots) stage.pop(true);  // the last ones come from the other cache
  stage.refuse();
  stage.refuse();
  for (std::size_t i = 0; i != 2 * cache; ++i) stage.push(stage.size() - 1, i < 4 || i % 64 == 0);
  stage.random(1, 16);
  stage.ask();
  at = 2;
  other.join();
  return stage.ok();
}

/// ThreadLocalPool.
template <class Pool> bool run_local(Pool& pool, std::size_t slots, Meter& meter) {
  using Handle = typename Pool::handle_type;
  struct Do {
    [[gnu::noinline]] static Handle allocate(Pool& pool) { return pool.try_allocate(std::uint64_t{7}); }
    [[gnu::noinline]] static void release(Handle& handle) { handle.reset(); }
  };
  calibrate(meter, &pool);
  bool ok = true;
  std::vector<Handle> live;
  live.reserve(slots);
  live.push_back(pool.allocate(std::uint64_t{1}));  // the thread gets its sub-pool
  auto const pop = [&](Kind kind) { live.push_back(measure(meter, kind, Do::allocate, pool)), ok = ok && live.back(); };
  auto const push = [&](Kind kind) { measure(meter, kind, Do::release, live.back()), live.pop_back(); };
  for (int i = 0; i != 3; ++i) pop(allocate);
  push(usual_release), pop(usual_allocate);
  while (live.size() < slots - 1) live.push_back(pool.allocate(std::uint64_t{1}));
  pop(allocate);
  ok = ok && !measure(meter, refused, Do::allocate, pool);
  for (int i = 0; i != 40; ++i) push(release);
  for (int i = 0; i != 40; ++i) pop(allocate);
  for (auto const& [n, kind] : {std::pair(few, gather_few), std::pair(many, gather_many)}) {
    std::thread([&live, left = slots - n] { live.resize(left); }).join();
    pop(kind);
    while (live.size() != slots) pop(allocate);
  }
  Handle theirs;
  std::thread([&] { theirs = pool.allocate(std::uint64_t{1}); }).join();
  measure(meter, away, Do::release, theirs);
  std::mt19937 next(1);
  for (int i = 0; i != 200; ++i) {
    bool const takes = live.size() < slots && (live.size() < 2 || next() % 2 != 0);
    if (!takes) std::swap(live[next() % live.size()], live.back());
    takes ? pop(allocate) : push(release);
  }
  for (Handle& handle : live) (void)handle.release();
  return ok;
}

/// Keys, in a pool of any kind.
template <class Pool> bool run_keys(Pool& pool, std::size_t slots, Meter& meter, std::size_t border) {
  using Do = Operations<Pool>;
  calibrate(meter, &pool);
  Stage<Pool> stage(pool, slots, meter);
  stage.fill(slots, border);
  bool ok = true;
  std::vector<fastalloc::Key> keys;
  for (std::size_t i = 0; i < slots; i += slots / 32) keys.push_back(measure(meter, key, Do::key, pool, stage.at(i)));
  for (fastalloc::Key const k : keys) ok = ok && measure(meter, get, Do::get, pool, k) != nullptr;
  for (int i = 0; i != 33; ++i) stage.push(0, true);
  for (fastalloc::Key const k : keys) measure(meter, get, Do::get, pool, k);
  ok = ok && measure(meter, get, Do::get, pool, fastalloc::Key()) == nullptr;
  for (int i = 0; i != 33; ++i) stage.pop(true);
  stage.refuse();
  return ok && stage.ok();
}

/// Counted owners.
template <class Pool> bool run_shared(Pool& pool, std::size_t slots, Meter& meter) {
  using T = typename Pool::value_type;
  using Strong = fastalloc::SharedHandle<T>;
  using Weak = fastalloc::WeakHandle<T>;
  struct Do {
    [[gnu::noinline]] static Strong share(typename Pool::handle_type& handle) { return std::move(handle).share(); }
    [[gnu::noinline]] static Strong copy(Strong const& shared) { return shared; }
    [[gnu::noinline]] static Weak downgrade(Strong const& shared) { return shared.downgrade(); }
    [[gnu::noinline]] static Strong lock(Weak const& weak) { return weak.lock(); }
    [[gnu::noinline]] static void end(Strong& shared) { shared.reset(); }
    [[gnu::noinline]] static void end_weak(Weak& weak) { weak.reset(); }
  };
  calibrate(meter, &pool);
  bool ok = true;
  std::vector<typename Pool::handle_type> live;
  while (live.size() != slots) live.push_back(pool.allocate(std::uint64_t{1}));
  for (int i = 0; i != 5; ++i) {
    Strong one = measure(meter, share, Do::share, live[static_cast<std::size_t>(i)]);
    Strong two = measure(meter, copy, Do::copy, one);
    Weak weak = measure(meter, copy, Do::downgrade, one);
    Strong three = measure(meter, lock, Do::lock, weak);
    ok = ok && three;
    measure(meter, drop, Do::end, two);
    measure(meter, drop, Do::end, three);
    measure(meter, release, Do::end, one);
    ok = ok && !measure(meter, lock, Do::lock, weak);
    measure(meter, release, Do::end_weak, weak);
  }
  for (auto& handle : live) (void)handle.release();
  return ok;
}

}  // namespace steps

#endif
