// SPDX-License-Identifier: MIT OR Apache-2.0
// Pooled<T>: gives a class an operator new and delete of its own, which take its objects from a pool.
//
//   struct Particle : fastalloc::Pooled<Particle> { ... };        // adds nothing to its size
//   auto particle = std::make_unique<Particle>();                 // new Particle: a slot of the class's pool
//
// One pool a class, made by the first `new` and never destroyed:
//
//   Pooled<T>                       ThreadSafePool that grows: any thread may new and delete
//   Pooled<T, NoLock>               GrowingPool: one thread at a time
//   Pooled<T, AtomicStats, ...>     policies of the pool, as after its T
//
//   home   | state: none, being built, built | objects from the heap | the pool's bytes |      zeros at first: .bss
//
// An object of a derived class takes a slot if it fits; a bigger one comes from ::operator new. The size that operator
// delete is given tells which it was. Where there is none (over-aligned classes), or it may be that of a base (T is not
// final and has no virtual destructor), the pool is asked whether it owns the address, but only while any object of the
// class is from the heap.
#pragma once

#include <fastalloc/lifetime/hooks.hpp>
#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/pool/fixed_pool.hpp>
#include <fastalloc/pool/growing_pool.hpp>

#if FASTALLOC_HAS_THREADS
#include <fastalloc/pool/thread_safe_pool.hpp>
#endif

#include <atomic>
#include <memory>
#include <new>

namespace fastalloc::detail::inline FASTALLOC_STATE {

enum class HomeState : unsigned char { none, being_built, built };

/// Where the pool of class T is, whatever the settings of the file that made it.
template <std::size_t Bytes, std::size_t Align> struct PooledHome {
  std::atomic<HomeState> state;
  std::atomic<std::size_t> heap_objects;
  alignas(Align) std::byte bytes[Bytes];
};
template <class T, std::size_t Bytes, std::size_t Align>
FASTALLOC_SHARED inline constinit PooledHome<Bytes, Align> pooled_home{};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Room for a T, or for an object of a derived class of this size, so aligned as any object of the size may have to be.
template <class T> struct PooledSlot {
  static constexpr std::size_t natural = smaller(sizeof(T) & (~sizeof(T) + 1), __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  PooledSlot() noexcept {}  // = default would make the pool fill the slot with zeros
  alignas(greater(alignof(T), natural)) std::byte bytes[sizeof(T)];
};

/// A thread keeps up to 16 KiB, and the pool grows before it takes them away: the capacity need not be exact.
struct RoomyCache {
  static constexpr std::size_t max_cached = 256, roomy_bytes = 16384;
};

/// The operators of Pooled. T is complete here.
template <class T, class... Ps> class PooledMemory {
  using Slot = PooledSlot<T>;
  static constexpr std::size_t default_align = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  static constexpr bool one_thread = !FASTALLOC_HAS_THREADS || (std::same_as<Ps, NoLock> || ...);
  static constexpr bool fixed_storage = (SizedStorage<Ps> || ...);
  /// The pool may keep slots from a thread while other threads have some.
  static constexpr bool roomy =
      !one_thread && !fixed_storage && !((axis_of<Ps>() == Axis::lock || axis_of<Ps>() == Axis::cache) || ...);

  template <bool, class... Qs> struct Choose {
    using type = std::conditional_t<fixed_storage, FixedPool<Slot, Qs...>, GrowingPool<Slot, Qs...>>;
  };
#if FASTALLOC_HAS_THREADS
  template <class... Qs> struct Choose<false, Qs...> {
    using type = std::conditional_t<roomy, ThreadSafePool<Slot, Qs..., RoomyCache>, ThreadSafePool<Slot, Qs...>>;
  };
#endif

 public:
  using Pool = typename Choose<one_thread, Ps...>::type;

  static Pool& pool() {
    make_sure();
    return built();
  }
  static std::size_t heap_objects() noexcept {
    return home().heap_objects.load(std::memory_order_relaxed);  // relaxed: a number
  }

  FASTALLOC_ALWAYS_INLINE static void* take(std::size_t size, std::size_t align = 1) {
    return opaque(fits(size, align) ? take_slot() : take_from_heap(size, align));
  }
  FASTALLOC_ALWAYS_INLINE static void* try_pop(std::size_t size, std::size_t align = 1) noexcept {
    void* object = nullptr;
    // What throws are growth functions of the user's, and their like.
    (void)swallow([&] { object = fits(size, align) ? try_take_slot() : try_take_from_heap(size, align); });
    return opaque(object);
  }
  FASTALLOC_ALWAYS_INLINE static void give(void* p, std::size_t size) noexcept {
    if (p == nullptr) return;
    if (size > sizeof(Slot) || (!size_is_certain() && is_from_heap(p))) [[unlikely]]
      return give_to_heap(p, 1);
    give_slot(p);
  }
  /// The same where operator delete is given no size.
  FASTALLOC_ALWAYS_INLINE static void give_unsized(void* p, std::size_t align = 1) noexcept {
    if (p == nullptr) return;
    if (is_from_heap(p)) [[unlikely]]
      return give_to_heap(p, align);
    give_slot(p);
  }

 private:
  static auto& home() noexcept { return pooled_home<T, sizeof(Pool), alignof(Pool)>; }
  FASTALLOC_ALWAYS_INLINE static Pool& built() noexcept { return *std::launder(reinterpret_cast<Pool*>(home().bytes)); }
  FASTALLOC_ALWAYS_INLINE static constexpr bool fits(std::size_t size, std::size_t align) noexcept {
    return size <= sizeof(Slot) && align <= alignof(Slot);
  }
  /// True if operator delete is given the size of the object, not of a base.
  static constexpr bool size_is_certain() noexcept { return std::is_final_v<T> || std::has_virtual_destructor_v<T>; }
  FASTALLOC_ALWAYS_INLINE static bool is_from_heap(void const* p) noexcept {
    // relaxed: this thread saw the object that it deletes being made, and counted
    return home().heap_objects.load(std::memory_order_relaxed) != 0 && !is_from_pool(p);
  }
  FASTALLOC_COLD static bool is_from_pool(void const* p) noexcept { return is_built() && built().owns(p); }

  FASTALLOC_ALWAYS_INLINE static void make_sure() {
    if (!is_built()) [[unlikely]]
      make_or_fail();
  }
  FASTALLOC_COLD static void make_or_fail() {
    if (Error error; !make(error)) detail::fail(error);
  }
  FASTALLOC_COLD static bool try_make() {
    Error error;
    return make(error);
  }
  FASTALLOC_ALWAYS_INLINE static bool is_built() noexcept {
    // acquire: pairs with the release in make()
    return home().state.load(std::memory_order_acquire) == HomeState::built;
  }
  /// Effects: builds the pool, unless another thread does, which is waited for. Returns: false, with the error, if that
  /// fails; the next call tries again.
  static bool make(Error& error) {
    // seq_cst: once in a program
    for (auto state = HomeState::none; !home().state.compare_exchange_strong(state, HomeState::being_built);
         state = HomeState::none) {
      if (state == HomeState::built) return true;
      detail::yield();
    }
    struct Ending {
      HomeState state = HomeState::none;
      ~Ending() { home().state.store(state, std::memory_order_release); }
    } ending;
    auto* const at = reinterpret_cast<Pool*>(home().bytes);
    if constexpr (requires { T::pool_config(); }) {
      if (!make_at(at, T::pool_config(), error)) return false;
    } else if constexpr (std::default_initializable<Pool>) {
      std::construct_at(at);
    } else {
      static_assert(!(LockFreePolicy<Ps> || ...),
                    "fastalloc: a pool with LockFree does not grow; give the class a capacity, as in public: static "
                    "fastalloc::PoolConfig pool_config() { return {.capacity = 1000}; }");
      constexpr std::size_t first = greater(first_bytes / sizeof(Slot), least_slots);
      if (!make_at(at, {.capacity = first, .growth_strategy = GrowthStrategy::exponential(2.0)}, error)) return false;
    }
    ending.state = HomeState::built;
    return true;
  }
  static bool make_at(Pool* at, PoolConfig const& config, Error& error) {
    std::optional<Error> failure;
    std::construct_at(at, failure, config);
    if (!failure) return true;
    error = *failure;
    error.type_name = type_name<T>();
    std::destroy_at(at);
    return false;
  }

  FASTALLOC_ALWAYS_INLINE static void* take_slot() {
    make_sure();
    if constexpr (roomy) {
      if (auto handle = built().try_allocate()) [[likely]]
        return handle.release();
      return take_last();
    } else {
      return built().allocate().release();
    }
  }
  FASTALLOC_ALWAYS_INLINE static void* try_take_slot() {
    if (!is_built() && !try_make()) [[unlikely]]
      return nullptr;
    if (auto handle = built().try_allocate()) [[likely]]
      return handle.release();
    if constexpr (roomy) {
      built().trim();
      return built().try_allocate().release();
    }
    return nullptr;
  }
  /// The pool cannot grow: takes what threads keep.
  FASTALLOC_COLD static void* take_last() requires roomy {
    built().trim();
    return built().allocate().release();
  }
  FASTALLOC_ALWAYS_INLINE static void give_slot(void* p) noexcept {
    (void)built().adopt(static_cast<Slot*>(opaque(p)));
  }

  FASTALLOC_COLD static void* take_from_heap(std::size_t size, std::size_t align) {
    return counted(align > default_align ? ::operator new(size, std::align_val_t{align}) : ::operator new(size));
  }
  FASTALLOC_COLD static void* try_take_from_heap(std::size_t size, std::size_t align) noexcept {
    return counted(align > default_align ? ::operator new(size, std::align_val_t{align}, std::nothrow)
                                         : ::operator new(size, std::nothrow));
  }
  static void* counted(void* p) noexcept {
    if (p != nullptr) home().heap_objects.fetch_add(1, std::memory_order_relaxed);
    return p;
  }
  FASTALLOC_COLD static void give_to_heap(void* p, std::size_t align) noexcept {
    home().heap_objects.fetch_sub(1, std::memory_order_relaxed);
    if (align > default_align) ::operator delete(p, std::align_val_t{align});
    else ::operator delete(p);
  }

  static constexpr std::size_t first_bytes = 16384, least_slots = 16;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: a program says `new` and `delete`, or std::make_unique, for a class that should live in a pool.
/// Derive from it: `struct Particle : Pooled<Particle>`. Then `new Particle` takes a slot, in all forms (aligned,
/// nothrow), and `new (address) Particle` builds there. `new Particle[n]`, std::make_shared, and containers of Particle
/// use the heap, as before.
/// Policies: those of the pool (see above), except lifetime, sharing and keys policies, and HeapFallback. A derived
/// class has the pool of its base. To have its own, it derives from Pooled, too, and says `using
/// Pooled<Derived>::operator new;` and the same for operator delete.
/// Configuration: a public `static fastalloc::PoolConfig pool_config()` of T, called once. Otherwise the pool begins
/// with about 16 KiB and doubles.
/// Throws: `new`: PoolExhausted, MaxCapacityExceeded, AllocationFailed, which are std::bad_alloc; a new-handler is not
/// called. `new (std::nothrow)` returns null. Where exceptions are off, `new` calls the error handler.
/// Objects may be deleted after main() and by the destructors of static objects. The pool's memory stays until the
/// program ends; `pool().shrink_to_fit()` returns free blocks. With g++ a library with such a class stays loaded.
/// Thread safety: that of the pool. In a pool with max_capacity that several threads use, `new` may fail while another
/// thread keeps slots that it freed since; name ThreadCache<> for an exact bound.
/// Complexity: that of the pool's allocate() and of the end of a handle. While objects of bigger derived classes exist,
/// a deletion also takes owns(), unless T is final or has a virtual destructor, and is not over-aligned.
template <class T, class... Policies> class Pooled {
  static_assert(((detail::axis_of<Policies>() != detail::Axis::lifetime &&
                  detail::axis_of<Policies>() != detail::Axis::sharing &&
                  detail::axis_of<Policies>() != detail::Axis::keys) &&
                 ...),
                "fastalloc: Pooled objects are built by new and ended by delete; leave lifetime, sharing and keys "
                "policies out, or use a pool and its handles");
  static_assert((!std::same_as<Policies, HeapFallback> && ...),
                "fastalloc: operator delete could not tell HeapFallback's objects from those of derived classes that "
                "are too big for a slot; leave it out, and let the pool grow");
  /// A template, so that T may be incomplete here.
  template <class U> struct Of {
    static_assert(std::is_base_of_v<Pooled, U>,
                  "fastalloc: a class names itself in its base, as in struct Particle : Pooled<Particle>");
    using type = detail::PooledMemory<U, Policies...>;
  };

 public:
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static void* operator new(std::size_t size) { return Of<T>::type::take(size); }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static void* operator new(std::size_t size, std::align_val_t align) {
    return Of<T>::type::take(size, static_cast<std::size_t>(align));
  }
  [[nodiscard]] static void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return Of<T>::type::try_pop(size);
  }
  [[nodiscard]] static void* operator new(std::size_t size, std::align_val_t align, std::nothrow_t const&) noexcept {
    return Of<T>::type::try_pop(size, static_cast<std::size_t>(align));
  }
  [[nodiscard]] static void* operator new(std::size_t, void* address) noexcept { return address; }

  FASTALLOC_ALWAYS_INLINE static void operator delete(void* p, std::size_t size) noexcept {
    Of<T>::type::give(p, size);
  }
  // Without a size: g++ 12 calls none with size and alignment after a constructor that throws.
  FASTALLOC_ALWAYS_INLINE static void operator delete(void* p, std::align_val_t align) noexcept {
    Of<T>::type::give_unsized(p, static_cast<std::size_t>(align));
  }
  static void operator delete(void* p, std::nothrow_t const&) noexcept { Of<T>::type::give_unsized(p); }
  static void operator delete(void* p, std::align_val_t align, std::nothrow_t const&) noexcept {
    Of<T>::type::give_unsized(p, static_cast<std::size_t>(align));
  }
  static void operator delete(void*, void*) noexcept {}

  /// The pool of the class, for its own functions: capacity(), shrink_to_fit(), check_invariants(). Its objects are
  /// slots of bytes. Throws: as `new`, if the pool cannot be made.
  [[nodiscard]] static auto& pool() { return Of<T>::type::pool(); }
  /// Objects in slots; does not include those from the heap.
  [[nodiscard]] static std::size_t allocated() { return pool().allocated(); }
  /// Live objects of derived classes that are too big for a slot.
  [[nodiscard]] static std::size_t heap_objects() noexcept { return Of<T>::type::heap_objects(); }
  /// With AtomicStats, or BasicStats and NoLock.
  template <int = 0> [[nodiscard]] static PoolStatistics pool_statistics() { return pool().statistics(); }

 protected:
  Pooled() = default;
  Pooled(Pooled const&) = default;
  Pooled& operator=(Pooled const&) = default;
  ~Pooled() = default;
};

}  // namespace fastalloc::inline FASTALLOC_MODE
