// SPDX-License-Identifier: MIT OR Apache-2.0
// The sharing axis: several owners of one object, counted in its slot. Default: none.
//
//   Shared         plain counts; one thread holds all handles to an object     2 words per slot
//   AtomicShared   atomic counts                                               2 words per slot
//
//   slot | the lifetime policy's bytes | word | AnyOwner* |
//
//   word == 1                       one Handle owns the object; the rest is unused
//   word == strong + weak << 32     weak == WeakHandles + (1 while the object is live or being destroyed)
//   word == 0                       no object
//
// The object dies for good when strong falls to 0; the slot is returned when weak falls to 0.
#pragma once

#include <fastalloc/atomic_ref.hpp>
#include <fastalloc/handle/handle.hpp>

#include <atomic>
#include <bit>
#include <cstring>

#if __STDC_HOSTED__ && defined(__GLIBC__) && defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define FASTALLOC_ONLY_THREAD (__libc_single_threaded != 0)
#endif
#endif
#ifndef FASTALLOC_ONLY_THREAD
#define FASTALLOC_ONLY_THREAD false
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// A policy for the sharing axis. `S::counts_are_atomic`: several threads may hold handles to one object.
template <class S>
concept SharingPolicy = requires {
  { S::counts_are_atomic } -> std::convertible_to<bool>;
};

/// When to use: objects with several owners, all on one thread. Complexity: 1 step per handle created or dropped.
struct Shared {
  static constexpr bool counts_are_atomic = false;
};

/// When to use: objects with owners on several threads. In a single-threaded process counting costs the same as with
/// Shared, where the C library reports that state (glibc 2.32 and later). Do not use handles in signal handlers then.
struct AtomicShared {
  static constexpr bool counts_are_atomic = true;
};

static_assert(SharingPolicy<Shared> && SharingPolicy<AtomicShared>);

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Default: each object has one owner; nothing is counted.
struct NoSharing {
  static constexpr bool counts_are_atomic = true;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// The words behind a shared object.
struct SharedCounts {
  static constexpr std::size_t alignment = 8;
  static constexpr std::uint64_t strong = 1;
  static constexpr std::uint64_t weak = std::uint64_t{1} << 32;
  alignas(alignment) std::uint64_t word;
  AnyOwner* owner;  ///< written by share()
};

/// The address of the counts, with bit 0 set if they are atomic, and bit 1 if lock_shared() may add to them at any
/// time, so that the checks read no memory. Null for none.
class CountsRef {
  using Counts = SharedCounts;

 public:
  static constexpr bool can_be_atomic = AtomicRef<std::uint64_t>::is_always_lock_free;

  constexpr CountsRef() noexcept = default;
  CountsRef(void* counts, bool atomic, bool locked_by_key = false) noexcept
      : word_(reinterpret_cast<std::uintptr_t>(counts) | std::uintptr_t{atomic} |
              std::uintptr_t{locked_by_key} * std::uintptr_t{by_key}) {}
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE CountsRef copy() const noexcept {
    CountsRef result;
    result.word_ = opaque(word_);
    return result;
  }
  explicit operator bool() const noexcept { return word_ != 0; }
  friend bool operator==(CountsRef, CountsRef) noexcept = default;

  /// Marks the object as owned by one Handle. Atomic, since a for_each() on another thread may read it.
  FASTALLOC_ALWAYS_INLINE void set_unique() const noexcept { store(Counts::strong); }
  /// Marks the object as gone if one Handle owned it: iterations skip it until its slot is free.
  FASTALLOC_ALWAYS_INLINE void end_unique() const noexcept {
    if (atomic() ? load() == Counts::strong : add_plain<Counts::strong>(0) != 0) store(0);
  }
  /// Marks the object as owned by one SharedHandle.
  void set_shared(AnyOwner* owner) const noexcept {
    counts().owner = owner;
    // release: pairs with the acquire in lock_shared(), which then sees that the keys of earlier objects have ended.
    store(Counts::strong + Counts::weak, std::memory_order_release);
  }
  [[nodiscard]] bool is_shared() const noexcept { return load() >= Counts::weak; }
  [[nodiscard]] bool is_dead() const noexcept { return strong() == 0; }
  [[nodiscard]] std::uint32_t strong() const noexcept { return static_cast<std::uint32_t>(load()); }
  /// WeakHandles; one more while the object is being destroyed.
  [[nodiscard]] std::uint32_t weak() const noexcept {
    std::uint64_t const word = load();
    return static_cast<std::uint32_t>(word / Counts::weak) - (static_cast<std::uint32_t>(word) != 0);
  }

  /// Counts a new handle, copied from one that counts in the same unit or is strong.
  template <std::uint64_t Unit> FASTALLOC_ALWAYS_INLINE void add() const noexcept {
    if (word_ == 0) return;
    if (!atomic()) add_plain<Unit>(1);
    // relaxed: the copied handle keeps the counts above zero
    else if constexpr (can_be_atomic) ref().fetch_add(Unit, std::memory_order_relaxed);
  }
  /// Counts off a handle. Returns: true for the last one. Works on a copy: after atomic operations compilers reload
  /// members.
  template <std::uint64_t Unit> FASTALLOC_ALWAYS_INLINE bool drop() const noexcept {
    CountsRef const self = *this;
    bool const last = self.word_ != 0 && (Unit == Counts::strong ? self.drop_strong() : self.drop_weak());
    if (last) release(self.counts(), Unit == Counts::strong ? ReleaseOf::shared : ReleaseOf::slot);
    return last;
  }
  /// Returns: true for the last handle; the caller then returns the slot.
  FASTALLOC_ALWAYS_INLINE bool drop_weak() const noexcept {
    if (!atomic()) return add_plain<Counts::weak>(-1) == 0;
    if constexpr (can_be_atomic) {
      // acquire: pairs with the release in the other handles' drops. No other handle is left to change the word.
      if (ref().load(std::memory_order_acquire) == Counts::weak) return true;
      // release: publishes this thread's accesses; acquire: sees those of threads that dropped their handles earlier.
      return ref().fetch_sub(Counts::weak, std::memory_order_acq_rel) / Counts::weak == 1;
    }
    return false;
  }
  /// Effects: adds a SharedHandle, from a WeakHandle. Returns: false if the object is dead, or there is none.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool lock() const noexcept { return word_ != 0 && lock_from<1>(); }
  /// The same, without a handle: false, too, for an object that one Handle owns.
  [[nodiscard]] bool lock_shared() const noexcept { return is_shared() && lock_from<Counts::weak>(); }

 private:
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE SharedCounts& counts() const noexcept {
    return *reinterpret_cast<SharedCounts*>(word_ & ~std::uintptr_t{1 | by_key});
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE AtomicRef<std::uint64_t> ref() const noexcept {
    return AtomicRef(counts().word);
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool atomic() const noexcept {
    return can_be_atomic && (word_ & 1) != 0 && !FASTALLOC_ONLY_THREAD;
  }

  /// Adds a strong one to a word of at least `Least` with strong ones.
  template <std::uint64_t Least> [[nodiscard]] FASTALLOC_ALWAYS_INLINE bool lock_from() const noexcept {
    if (!atomic()) return add_plain<Counts::strong>(0) != 0 && add_plain<Counts::strong>(1) != 0;
    if constexpr (can_be_atomic) {
      std::uint64_t word = ref().load(std::memory_order_relaxed);  // relaxed: compare_exchange reads it again
      while (static_cast<std::uint32_t>(word) != 0 && word >= Least)
        // acquire: sees the object accesses of threads that dropped their handles. relaxed: a failure only reloads.
        if (ref().compare_exchange_weak(word, word + Counts::strong, std::memory_order_acquire,
                                        std::memory_order_relaxed))
          return true;
    }
    return false;
  }

  /// Returns: the sum. Uses half of the word, which processors forward faster: a copy and its drop take 1 ns, not 4.
  template <std::uint64_t Unit> FASTALLOC_ALWAYS_INLINE std::uint32_t add_plain(int number) const noexcept {
    constexpr bool second = (Unit == Counts::weak) == (std::endian::native == std::endian::little);
    auto* const at = reinterpret_cast<std::byte*>(&counts().word) + (second ? sizeof(std::uint32_t) : 0);
    std::uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    value += static_cast<std::uint32_t>(number);
    std::memcpy(at, &value, sizeof value);
    return value;
  }

  // relaxed: counts are informational, and are set while one thread has the object.
  [[nodiscard]] std::uint64_t load() const noexcept {
    if constexpr (can_be_atomic)
      if (atomic()) return ref().load(std::memory_order_relaxed);
    return counts().word;
  }
  FASTALLOC_ALWAYS_INLINE void store(std::uint64_t value,
                                     std::memory_order order = std::memory_order_relaxed) const noexcept {
    if constexpr (can_be_atomic)
      if ((word_ & 1) != 0) return ref().store(value, order);
    counts().word = value;
  }

  /// Returns: true for the last strong handle. strong is then 0, before any user code runs; the object's own unit of
  /// weak remains.
  FASTALLOC_ALWAYS_INLINE bool drop_strong() const noexcept {
    if (!atomic()) return add_plain<Counts::strong>(-1) == 0;
    if constexpr (can_be_atomic) {
      // acquire here, acq_rel below: as in drop_weak().
      std::uint64_t word = ref().load(std::memory_order_acquire);
      if (word == Counts::strong + Counts::weak) {
        if ((word_ & by_key) == 0) {
          ref().store(Counts::weak, std::memory_order_relaxed);  // relaxed: no other thread has a handle
          return true;
        }
        // acq_rel: as below. relaxed: a failure is followed by the subtraction.
        if (ref().compare_exchange_weak(word, Counts::weak, std::memory_order_acq_rel, std::memory_order_relaxed))
          return true;
      }
      return static_cast<std::uint32_t>(ref().fetch_sub(Counts::strong, std::memory_order_acq_rel)) == 1;
    }
    return false;
  }
#if defined(__GNUC__)
  [[gnu::noinline]]
#endif
  static void release(SharedCounts& counts, ReleaseOf what) noexcept {
    counts.owner->release_(*counts.owner, &counts, what);
  }

  static constexpr std::uintptr_t by_key = 2;  ///< in word_

  std::uintptr_t word_ = 0;
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

#undef FASTALLOC_ONLY_THREAD
