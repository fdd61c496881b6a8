// SPDX-License-Identifier: MIT OR Apache-2.0
// The exhaustion axis: what a pool does when every slot is in use and it cannot grow. Runs on the slow path only.
//
//   Fail           default: allocate() throws, try_allocate() returns an empty handle
//   Evict<F>       f() ends an object, and the pool looks again: caches, histories, voices of a synthesizer
//   HeapFallback   the object comes from the heap: bursts above the capacity
//
//   heap object    | previous, next | T |        in a list of the pool; its address is in no block
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

#include <new>
#include <vector>

namespace fastalloc::inline FASTALLOC_MODE {

/// Ends objects by `f(pool)`, or f(), when every slot is in use. f returns true if it ended at least one object (by
/// releasing a handle, or by adopt(get(key)).reset()), and false if there is none to end; the request then fails as
/// with Fail. It is called until a slot is there, at most max_calls times a request. For allocate(), try_allocate() and
/// reserve_key(): batches, runs and waiting requests do not evict.
/// Re-entrancy: f, and the destructors that it runs, may use the pool. In a pool without a lock their own requests do
/// not evict: without a free slot they fail, as with Fail.
/// Requires: in a pool with a lock, f and the destructors that it runs do not allocate from it. The arguments of
/// allocate() refer to no object that f may end: they are read when it is gone.
/// Throws: what f throws; what it ended by then is gone, and nothing else has changed.
/// Statistics: each call counts as a failure. Thread safety: f runs without a lock, on the thread that wants a slot.
template <class F> class Evict {
 public:
  static constexpr bool evicts = true, uses_heap = false;
  static constexpr int max_calls = 64;

  constexpr Evict() requires std::default_initializable<F> && (!std::is_pointer_v<F>) = default;
  constexpr explicit Evict(F f) : f_(std::move(f)) {}

  /// `alone`: one thread at a time uses the pool.
  template <class Pool> [[nodiscard]] bool make_room([[maybe_unused]] Pool& pool, bool alone) {
    bool nowhere = false;
    bool& running = alone ? running_ : nowhere;
    if (running) return false;
    struct Guard {
      bool& running;
      ~Guard() { running = false; }
    } const guard{running = true};
    if constexpr (std::is_invocable_v<F&, Pool&>) {
      return static_cast<bool>(f_(pool));
    } else {
      static_assert(std::is_invocable_v<F&>,
                    "fastalloc: the function of evict() is called with the pool, or without arguments, and returns "
                    "true when it ended an object; write evict([&] { return end_one(); })");
      return static_cast<bool>(f_());
    }
  }

 private:
  FASTALLOC_NO_UNIQUE_ADDRESS F f_{};
  bool running_ = false;  ///< f, in a pool that one thread at a time uses
};

/// Returns: a policy for a pool's type and its constructor:
///   auto end_one = evict([&] { return queue.pop(); });
///   FixedPool<Message, decltype(end_one)> pool(PoolConfig{.capacity = 100}, end_one);
template <class F> [[nodiscard]] constexpr Evict<F> evict(F f) { return Evict<F>(std::move(f)); }

/// Owns objects in the order of their age, and ends the oldest: for evict(std::ref(queue)). Destructors of its objects
/// may use it. Its own destructor ends all, the oldest first.
/// Requires: the pool outlives it. Thread safety: that of std::vector.
template <class T> class OldestFirst {
 public:
  OldestFirst() noexcept = default;
  /// The moved-from owner is empty.
  OldestFirst(OldestFirst&& other) noexcept
      : objects_(std::exchange(other.objects_, {})), first_(std::exchange(other.first_, 0)) {}
  OldestFirst& operator=(OldestFirst&& other) noexcept {
    OldestFirst taken(std::move(other));
    std::swap(objects_, taken.objects_);
    std::swap(first_, taken.first_);
    return *this;
  }
  ~OldestFirst() {
    while (pop()) {}  // not by the vector: destructors may look at it
  }

  /// Effects: takes over the newest object. Requires: `handle` is not empty. Returns: the object.
  /// Throws: std::bad_alloc; the object has ended then.
  T& push(Handle<T> handle) { return *objects_.emplace_back(std::move(handle)); }
  /// Effects: ends the oldest object. Returns: false if there is none. Complexity: constant over many calls.
  bool pop() noexcept {
    if (first_ == objects_.size()) return false;
    Handle<T> const oldest = std::move(objects_[first_++]);  // ends last: its destructor may push
    if (2 * first_ >= objects_.size()) {
      objects_.erase(objects_.begin(), objects_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    return true;
  }
  bool operator()() noexcept { return pop(); }
  /// Requires: size() != 0.
  [[nodiscard]] T& front() noexcept { return *objects_[first_]; }
  [[nodiscard]] std::size_t size() const noexcept { return objects_.size() - first_; }

 private:
  std::vector<Handle<T>> objects_;
  std::size_t first_ = 0;  ///< of those that are not ended
};

/// Takes objects from the heap (operator new) when every slot is in use and the pool cannot grow. Handles, hooks and
/// destructors are as for slots. heap_objects() is their number; capacity(), allocated(), statistics, iterations,
/// clear(), save(), batches, index_of() and requests that wait are about slots only: each object from the heap counts
/// as a failure. allocate() fails only if the heap has no room. Without Recycle, keys and sharing.
/// Costs: a handle's end looks whether the object is in a slot (owns()). With a checks policy, and for handles to a
/// part, the end of an object from the heap is linear in heap_objects().
class HeapFallback {
 public:
  static constexpr bool evicts = false, uses_heap = true;

  HeapFallback() = default;
  HeapFallback(HeapFallback const&) noexcept {}  // of a pool under construction

  /// Effects: objects are aligned as slots are; 0 for their own alignment.
  void align_to(std::size_t alignment) noexcept { least_alignment_ = alignment; }

  /// Returns: room for an object; null without memory. `locked(f)`, here and below, calls f under the pool's lock,
  /// which guards the list: a fork takes it, too.
  template <class Locked>
  [[nodiscard]] std::byte* allocate(std::size_t bytes, std::size_t align, Locked const& locked) noexcept {
    align = detail::greater(align, least_alignment_);
    std::size_t const before = offset(align);
    void* const memory = is_common(align) ? ::operator new(before + bytes, std::nothrow)
                                          : ::operator new(before + bytes, std::align_val_t{align}, std::nothrow);
    if (memory == nullptr) return nullptr;
    std::byte* const object = static_cast<std::byte*>(memory) + before;
    auto* const link = ::new (static_cast<void*>(object - sizeof(Link))) Link{};
    locked([&] {
      if ((link->next = first_) != nullptr) first_->previous = link;
      first_ = link;
      ++count_;
    });
    return object;
  }
  /// Effects: takes the object out of the list, so that find() does not know it; count() does, until forget().
  /// Returns: false if `object` is no object from the heap. Complexity: linear.
  template <class Locked> [[nodiscard]] bool claim(std::byte const* object, Locked const& locked) noexcept {
    return locked([&] {
      Link* link = first_;
      while (link != nullptr && reinterpret_cast<std::byte const*>(link + 1) != object) link = link->next;
      return link != nullptr && unlink(*link);
    });
  }
  /// Effects: frees the memory; then forget() has to be called. `claimed`: by claim().
  template <class Locked>
  void deallocate(std::byte* object, std::size_t align, Locked const& locked, bool claimed) noexcept {
    align = detail::greater(align, least_alignment_);
    if (!claimed) locked([&] { unlink(*std::launder(reinterpret_cast<Link*>(object - sizeof(Link)))); });
    if (is_common(align)) ::operator delete(object - offset(align));
    else ::operator delete(object - offset(align), std::align_val_t{align});
  }
  template <class Locked> void forget(Locked const& locked) noexcept {
    locked([&] { --count_; });
  }
  /// Returns: the object of `bytes` bytes that contains `p`; null if there is none. Complexity: linear.
  template <class Locked>
  [[nodiscard]] std::byte* find(void const* p, std::size_t bytes, Locked const& locked) const noexcept {
    return locked([&]() -> std::byte* {
      for (Link* link = first_; link != nullptr; link = link->next) {
        auto* const object = reinterpret_cast<std::byte*>(link + 1);
        if (object <= p && p < object + bytes) return object;
      }
      return nullptr;
    });
  }
  template <class Locked> [[nodiscard]] std::size_t count(Locked const& locked) const noexcept {
    return locked([&] { return count_; });
  }

 private:
  struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) Link {
    Link* previous = nullptr;
    Link* next = nullptr;
  };
  bool unlink(Link& link) noexcept {
    (link.previous != nullptr ? link.previous->next : first_) = link.next;
    if (link.next != nullptr) link.next->previous = link.previous;
    return true;
  }
  static std::size_t offset(std::size_t align) noexcept { return detail::greater(align, sizeof(Link)); }
  /// What operator new gives without being asked; asked, it takes twice as long.
  static bool is_common(std::size_t align) noexcept { return align <= alignof(Link); }

  Link* first_ = nullptr;
  std::size_t count_ = 0;
  std::size_t least_alignment_ = 0;  ///< PoolConfig::alignment
};

}  // namespace fastalloc::inline FASTALLOC_MODE
