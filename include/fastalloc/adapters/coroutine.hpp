// SPDX-License-Identifier: MIT OR Apache-2.0
// Coroutine frames from a pool: a promise_type derived from PooledFrame takes its frames from a pool of FrameSlots, and
// from the heap when the pool is full or the frame is larger than a slot.
//
//   FrameSlot<Bytes>   | frame | padding | owner | ... | owner: one word right behind the frame; null: from the heap
//
// The size of a frame is known only at run time; operator delete receives the same size as operator new, and finds the
// owner with it. <coroutine> is not needed: the compiler calls the two operators.
//
//   PooledFrame<>           the pool is a parameter of the coroutine: one promise_type for pools of any type
//   PooledFrame<&pool>      the pool is static: no parameter, and no indirect call when the frame is returned
//   TryPooledFrame<...>     without the heap, for promises with get_return_object_on_allocation_failure()
#pragma once

#include <fastalloc/arithmetic.hpp>
#include <fastalloc/handle/handle.hpp>
#include <fastalloc/lifetime/hooks.hpp>

#include <atomic>
#include <cstddef>
#include <new>
#include <type_traits>

namespace fastalloc::inline FASTALLOC_MODE {

FASTALLOC_BEGIN_PADDED
/// A slot for a coroutine frame of at most Bytes - sizeof(void*) bytes, uninitialised. Use it as T of any pool:
///   fastalloc::ThreadSafePool<fastalloc::FrameSlot<256>> frames(1000);
template <std::size_t Bytes> struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) FrameSlot {
  static_assert(Bytes > sizeof(void*),
                "fastalloc: a FrameSlot holds a frame and one word; a frame takes 100 bytes and more, so "
                "write FrameSlot<256>");
  static constexpr std::size_t max_frame = detail::round_up(Bytes, alignof(FrameSlot)) - sizeof(void*);

  FrameSlot() noexcept {}  // = default would make the pool fill the slot with zeros

  std::byte bytes[Bytes];
};
FASTALLOC_END_PADDED

/// Frames taken from the heap since the program began.
struct HeapFrames {
  std::size_t count;    ///< frames
  std::size_t largest;  ///< bytes of the largest; its FrameSlot needs sizeof(void*) more
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class T> constexpr bool is_frame_slot = false;
template <std::size_t Bytes> constexpr bool is_frame_slot<FrameSlot<Bytes>> = true;

/// A non-const pool of FrameSlots.
template <class P>
concept FramePool = is_frame_slot<typename P::value_type> && requires(P& pool) {
  typename P::handle_type::owner_type;
  pool.try_allocate();
};

template <auto Pool> struct FrameOwner {
  using type = AnyOwner;
  using slot = void;
};
template <auto Pool> requires(!std::is_null_pointer_v<decltype(Pool)>) struct FrameOwner<Pool> {
  static constexpr bool is_pool = requires { requires FramePool<std::remove_pointer_t<decltype(Pool)>>; };
  static_assert(is_pool,
                "fastalloc: PooledFrame<&pool> wants the address of a pool of FrameSlots, as in "
                "`inline ThreadSafePool<FrameSlot<256>> frames(1000);`; write PooledFrame<> to give it as a parameter");
  using pool_owner = typename std::remove_pointer_t<decltype(Pool)>::handle_type::owner_type;
  using type = std::conditional_t<is_compact<pool_owner>, AnyOwner, pool_owner>;  // a frame may be from the heap
  using slot = typename std::remove_pointer_t<decltype(Pool)>::value_type;
};

/// The pool among a coroutine's parameters.
template <FramePool P> P& first_pool(P& pool, auto&...) noexcept { return pool; }
template <class Object, FramePool P> requires(!FramePool<Object>) P& first_pool(Object&, P& pool, auto&...) noexcept {
  return pool;
}

/// Takes and returns frames. The word behind a frame is the owner word of a handle.
template <auto Pool> struct Frames {
  using Word = OwnerWord<typename FrameOwner<Pool>::type>;
  using Slot = typename FrameOwner<Pool>::slot;

  /// Returns: null when no slot is free or the frame does not fit. Throws: as the pool's lock and growth function.
  template <class P> FASTALLOC_ALWAYS_INLINE static void* take(P& pool, std::size_t size) {
    if (size > P::value_type::max_frame) [[unlikely]]
      return nullptr;
    auto handle = pool.try_allocate();
    if (handle == nullptr) [[unlikely]]
      return nullptr;
    Word const owner(HandleAccess::owner(handle));
    return mark(handle.release(), size, owner);
  }

  /// take() for a coroutine with these parameters.
  template <class... Args> FASTALLOC_ALWAYS_INLINE static void* take_for(std::size_t size, Args&... args) {
    if constexpr (!std::is_null_pointer_v<decltype(Pool)>) return take(*Pool, size);
    else if constexpr (requires { first_pool(args...); }) return take(first_pool(args...), size);
    else
      static_assert(
          sizeof(Pool) == 0,
          "fastalloc: this coroutine is given no pool for its frame; make a reference to one its first parameter, as "
          "in "
          "`Task read(ThreadSafePool<FrameSlot<256>>& frames)`, or write PooledFrame<&pool> for a static one");
  }

  FASTALLOC_COLD static void* take_from_heap(std::size_t size) {
    std::size_t const whole = place(size) + sizeof(Word);
    // On overflow, requests a size that the heap refuses.
    void* const frame = mark(::operator new(whole < size ? size : whole), size, Word());
    // relaxed, both: counts that publish nothing.
    heap_count.fetch_add(1, std::memory_order_relaxed);
    std::size_t seen = heap_largest.load(std::memory_order_relaxed);
    while (seen < size && !heap_largest.compare_exchange_weak(seen, size, std::memory_order_relaxed)) {}
    return frame;
  }

  FASTALLOC_ALWAYS_INLINE static void give(void* frame, std::size_t size) noexcept {
    Word const owner = *std::launder(reinterpret_cast<Word*>(static_cast<std::byte*>(frame) + place(size)));
    if (owner.any() != nullptr) [[likely]]
      owner.release(static_cast<Slot*>(frame));
    else ::operator delete(frame);
  }

  static inline std::atomic<std::size_t> heap_count{0}, heap_largest{0};

 private:
  static constexpr std::size_t place(std::size_t size) noexcept { return round_up(size, alignof(Word)); }
  static void* mark(void* frame, std::size_t size, Word owner) noexcept {
    ::new (static_cast<void*>(static_cast<std::byte*>(frame) + place(size))) Word(owner);
    return frame;
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

// Without optimisation clang reserves 1 to 2 KiB in the frame for functions inlined here.
#if defined(__clang__) && !defined(__OPTIMIZE__)
#define FASTALLOC_FRAME_INLINE
#else
#define FASTALLOC_FRAME_INLINE FASTALLOC_ALWAYS_INLINE
#endif

namespace fastalloc::inline FASTALLOC_MODE {

/// Base of a promise_type: `struct promise_type : fastalloc::PooledFrame<> { ... }`. Adds nothing to its size.
///
/// With PooledFrame<> the coroutine's first parameter is the pool, a reference to a pool of FrameSlots. For member
/// functions and lambdas it is the second: the object counts as the first. A coroutine without a pool does not compile.
/// Requires: the pool outlives the frames. Alignment: __STDCPP_DEFAULT_NEW_ALIGNMENT__, as from operator new.
/// Throws: std::bad_alloc when the heap has no memory either. Complexity: that of the pool's try_allocate() and of the
/// end of a handle. Thread safety: that of the pool; with ThreadSafePool and ThreadLocalPool a coroutine may be created
/// on one thread and destroyed on another.
template <auto Pool> struct PooledFrame {
  // Inlined and opaque: otherwise g++ 12 warns of a mismatch between an operator new template and any operator delete.
  template <class... Args>
  [[nodiscard]] FASTALLOC_FRAME_INLINE static void* operator new(std::size_t size, Args&&... args) {
    void* const frame = detail::Frames<Pool>::take_for(size, args...);
    return detail::opaque(frame != nullptr ? frame : detail::Frames<Pool>::take_from_heap(size));
  }
  static void operator delete(void* frame, std::size_t size) noexcept { detail::Frames<Pool>::give(frame, size); }

  /// Frames taken from the heap by all promises with this base. Thread safety: safe.
  [[nodiscard]] static HeapFrames heap_frames() noexcept {
    using Frames = detail::Frames<Pool>;
    return {Frames::heap_count.load(std::memory_order_relaxed), Frames::heap_largest.load(std::memory_order_relaxed)};
  }
};

/// PooledFrame without the heap: when no slot is free, or the frame is larger than a slot, the coroutine does not
/// start, and its caller receives promise_type::get_return_object_on_allocation_failure(). Requires: the promise has
/// that function; otherwise the promise would be built at address 0. Never throws.
template <auto Pool> struct TryPooledFrame {
  template <class... Args>
  [[nodiscard]] FASTALLOC_FRAME_INLINE static void* operator new(std::size_t size, Args&&... args) noexcept {
    void* frame = nullptr;
    (void)detail::swallow([&] { frame = detail::Frames<Pool>::take_for(size, args...); });
    return detail::opaque(frame);
  }
  static void operator delete(void* frame, std::size_t size) noexcept { detail::Frames<Pool>::give(frame, size); }
};

}  // namespace fastalloc::inline FASTALLOC_MODE

#undef FASTALLOC_FRAME_INLINE
