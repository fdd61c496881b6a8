// SPDX-License-Identifier: MIT OR Apache-2.0
// The kinds of operations that tests/steps measures, each as a function of its own that the compiler may not inline or
// leave out.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include "steps/stepper.hpp"

#include <new>

namespace steps {

enum Kind : std::size_t {
  call,      ///< an empty function: the frame of each measurement
  allocate,  ///< from any state, a slot is there
  refused,   ///< try_allocate() when every slot is in use
  release,   ///< from any state
  usual_allocate,
  usual_release,  ///< as most of them are: the slot returned last; the thread's own cache
  questions,      ///< capacity, allocated, available, is_full, is_empty: the dearest of them
  statistics,
  reset,
  owns,
  index_of,
  adopt,  ///< with Handle::release()
  key,
  get,  ///< valid, stale and foreign keys
  share,
  copy,
  lock,
  drop,  ///< counted owners; drop: any handle but the object's last
  away,  ///< a release by a thread that is not the owner
  gather_few,
  gather_many,  ///< allocate when `few` or `many` slots came back from other threads
  kinds
};
static_assert(kinds <= most_operations);

inline constexpr char const* names[kinds] = {"call",
                                             "allocate",
                                             "try_allocate, full",
                                             "release",
                                             "allocate, usual",
                                             "release, usual",
                                             "capacity etc.",
                                             "statistics",
                                             "reset_statistics",
                                             "owns",
                                             "index_of",
                                             "release + adopt",
                                             "key",
                                             "get",
                                             "share",
                                             "copy",
                                             "lock",
                                             "drop",
                                             "release, abroad",
                                             "allocate, 16 came back",
                                             "allocate, 256 came back"};
inline constexpr std::size_t few = 16, many = 256;

struct Object {
  explicit Object(std::uint64_t v = 0) noexcept : value(v) {}
  std::uint64_t value;
};

/// A segment of CompactHandles holds 128 of them. Its constructor touches nothing.
struct Wide {
  Wide() noexcept {}
  std::byte bytes[2000];
};

/// Called through a pointer that the compiler cannot follow, and so as it is.
template <class R, class... Args> class Opaque {
 public:
  using Function = R (*)(Args...);
  explicit Opaque(Function function) : function_(function) {}
  [[gnu::always_inline]] Function get() const { return function_; }

 private:
  Function volatile function_;
};
template <class R, class... Args> Opaque(R (*)(Args...)) -> Opaque<R, Args...>;

#if STEPS_CAN_BE_COUNTED

template <class Pool> struct Operations {
  using T = typename Pool::value_type;
  using Handle = typename Pool::handle_type;

  [[gnu::noinline]] static T* allocate(Pool& pool) { return pool.try_allocate(std::uint64_t{7}).release(); }
  [[gnu::noinline]] static void release(Pool& pool, T* object) { pool.adopt(object).reset(); }
  [[gnu::noinline]] static std::size_t capacity(Pool& pool) { return pool.capacity(); }
  [[gnu::noinline]] static std::size_t allocated(Pool& pool) { return pool.allocated(); }
  [[gnu::noinline]] static std::size_t available(Pool& pool) { return pool.available(); }
  [[gnu::noinline]] static bool is_full(Pool& pool) { return pool.is_full(); }
  [[gnu::noinline]] static bool is_empty(Pool& pool) { return pool.is_empty(); }
  [[gnu::noinline]] static fastalloc::PoolStatistics statistics(Pool& pool) { return pool.statistics(); }
  [[gnu::noinline]] static void reset(Pool& pool) { pool.reset_statistics(); }
  [[gnu::noinline]] static bool owns(Pool& pool, void const* p) { return pool.owns(p); }
  [[gnu::noinline]] static std::size_t index_of(Pool& pool, T const* object) { return pool.index_of(object); }
  [[gnu::noinline]] static Handle adopt(Pool& pool, Handle& handle) { return pool.adopt(handle.release()); }
  [[gnu::noinline]] static fastalloc::Key key(Pool& pool, T const* object) { return pool.key(object); }
  [[gnu::noinline]] static T* get(Pool& pool, fastalloc::Key key) { return pool.get(key); }
};

/// Runs one operation under the meter, through a pointer.
template <class R, class... Args>
R measure(Meter& meter, Kind kind, R (*function)(Args...), std::type_identity_t<Args>... args) {
  Opaque const opaque(function);
  auto const f = opaque.get();
  if constexpr (std::is_void_v<R>) {
    meter(kind, [&] { f(static_cast<Args>(args)...); });
  } else if constexpr (std::is_trivially_copyable_v<R>) {
    R result;
    meter(kind, [&] { result = f(static_cast<Args>(args)...); });
    return result;
  } else {
    alignas(R) std::byte room[sizeof(R)];
    meter(kind, [&] { ::new (static_cast<void*>(room)) R(f(static_cast<Args>(args)...)); });
    return std::move(*std::launder(reinterpret_cast<R*>(room)));
  }
}

#endif

}  // namespace steps
