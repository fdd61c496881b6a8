// SPDX-License-Identifier: MIT OR Apache-2.0
// Policies that count what a pool asks of them: a step is one call into a policy.
//
//   Counting<Inner>   a slot policy; counts its calls, and the slots that they move or look at
//   CountingLock      acquisitions, and whether one was inside another
//   CountedStorage    blocks acquired and released
//   CountedStats      notes
//
// One account for the program: counts() is what happened since reset(). The account is written under the pool's lock.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>

namespace test {

struct Counts {
  std::size_t takes = 0, gives = 0, untouched = 0;  ///< calls that move one slot
  std::size_t moved = 0;                         ///< slots: one for each of these calls, n for pop_many and push_many
  std::size_t binds = 0, loops = 0, looked = 0;  ///< loops: for_each, drain, erase_if; looked: slots that they met
  std::size_t runs = 0;                          ///< find_run, pop_run
  std::size_t locks = 0, nested = 0;
  std::size_t acquired = 0, released = 0;
  std::size_t notes = 0;

  /// Steps, without those of what is linear.
  [[nodiscard]] std::size_t steps() const { return takes + gives + untouched + notes; }
  [[nodiscard]] bool only_steps() const {
    return binds == 0 && loops == 0 && looked == 0 && runs == 0 && nested == 0 && acquired == 0 && released == 0;
  }
};

inline Counts& counts() {
  static Counts the_counts;
  return the_counts;
}
/// What one operation asked for.
template <class F> Counts counted(F&& f) {
  counts() = {};
  f();
  return counts();
}

template <class Inner> struct Counting {
  static constexpr bool is_slot_policy = true;
  static constexpr std::size_t link_bytes(bool growing, std::size_t object) noexcept {
    return fastalloc::link_bytes<Inner>(growing, object);
  }

  template <class Shape> class Slots : public Inner::template Slots<Shape> {
    using Base = typename Inner::template Slots<Shape>;
    using Blocks = fastalloc::Blocks<Shape::growing>;

   public:
    void bind(std::byte* memory, Blocks const& blocks) noexcept { ++counts().binds, Base::bind(memory, blocks); }
    [[nodiscard]] std::byte* pop(Blocks const& blocks) noexcept {
      return ++counts().takes, ++counts().moved, Base::pop(blocks);
    }
    void push(std::byte* slot, Blocks const& blocks) noexcept {
      ++counts().gives, ++counts().moved, Base::push(slot, blocks);
    }
    void untouched(std::byte* slot, Blocks const& blocks) noexcept requires fastalloc::HearsOfUntouchedSlots<Base> {
      ++counts().untouched, Base::untouched(slot, blocks);
    }
    void pop_many(std::byte** out, std::size_t n, Blocks const& blocks) noexcept requires fastalloc::TakesMany<Base> {
      ++counts().takes, counts().moved += n, Base::pop_many(out, n, blocks);
    }
    template <class At>
    void push_many(At&& at, std::size_t n, Blocks const& blocks) noexcept requires fastalloc::GivesMany<Base> {
      ++counts().gives, counts().moved += n, Base::push_many(at, n, blocks);
    }
    template <class F> void for_each(F&& f, Blocks const& blocks) const {
      ++counts().loops, Base::for_each([&](std::byte* slot) { ++counts().looked, f(slot); }, blocks);
    }
    template <class F> void drain(F&& f, Blocks const& blocks) noexcept requires fastalloc::MarksReturns<Base> {
      ++counts().loops, Base::drain([&](std::byte* slot) { ++counts().looked, f(slot); }, blocks);
    }
    template <class P> void erase_if(P&& p, Blocks const& blocks) noexcept requires fastalloc::ErasableSlots<Base> {
      ++counts().loops, Base::erase_if([&](std::byte* slot) { return ++counts().looked, p(slot); }, blocks);
    }
    template <class Block>
    [[nodiscard]] std::size_t find_run(std::size_t n, Block const& block, Blocks const& blocks) const noexcept
        requires fastalloc::TakesRuns<Base> {
      return ++counts().runs, Base::find_run(n, block, blocks);
    }
    template <class Block>
    void pop_run(std::size_t place, std::size_t n, Block const& block) noexcept requires fastalloc::TakesRuns<Base> {
      ++counts().runs, Base::pop_run(place, n, block);
    }
  };
};

class CountingLock {
 public:
  void lock() {
    counts().nested += held_ ? 1 : 0;
    mutex_.lock();
    held_ = true;
    ++counts().locks;
  }
  void unlock() {
    held_ = false;
    mutex_.unlock();
  }

 private:
  std::recursive_mutex mutex_;  // a nested acquisition is to be reported, not to hang
  bool held_ = false;
};

struct CountedStorage {
  static constexpr bool can_grow = true;
  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return ++counts().acquired, fastalloc::HeapStorage{}.acquire(bytes, alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    ++counts().released, fastalloc::HeapStorage{}.release(block, bytes, alignment);
  }
};

class CountedStats : public fastalloc::BasicStats {
 public:
  void allocated(std::size_t n) noexcept { ++counts().notes, BasicStats::allocated(n); }
  void failed() noexcept { ++counts().notes, BasicStats::failed(); }
};

static_assert(fastalloc::StatsPolicy<CountedStats> && fastalloc::Storage<CountedStorage> &&
              fastalloc::LockPolicy<CountingLock>);

}  // namespace test
