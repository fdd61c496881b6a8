// SPDX-License-Identifier: MIT OR Apache-2.0
// Batches: BasicPool's functions for many objects at once.
//
//   allocate_batch          n handles                           taken in one step, returned one by one
//   allocate_batch_handle   one BatchHandle: n objects          taken and returned in one step
//   allocate_n              one SpanHandle: n adjacent objects  the same; BitmapAllocator
//
// All or nothing: every object is built before the first owner exists; an exception undoes them all.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/handle/batch_handle.hpp>
#include <fastalloc/handle/span_handle.hpp>
#include <fastalloc/lifetime/hooks.hpp>
#include <fastalloc/pool/slot_supply.hpp>

#if __STDC_HOSTED__
#include <iterator>
#include <vector>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// Slots taken together; at(i) is the i-th. [next, built) hold objects without an owner, [built, count) hold none.
template <class Pool, class At> struct Building {
  Pool& pool;
  At at;
  std::size_t count;
  std::size_t fresh;
  std::size_t built = 0;
  std::size_t acquired = 0;  ///< objects whose on_acquire() has run
  std::size_t next = 0;

  ~Building() {
    for (std::size_t i = count; i-- > next;) pool.unbuild({at(i), i >= fresh}, i < built, i < acquired);
  }
  template <class Build> FASTALLOC_ALWAYS_INLINE void build_all(Build& build) {
    while (built != count) {
      auto* const object = build(Taken{at(built), built >= fresh});
      ++built;
      call_on_acquire(*object);
      ++acquired;
    }
  }
};

/// Pool: the BasicPool that derives from this. Owner: of its handles. Base: its PoolBase.
template <class Pool, class T, class Owner, class Base> class Batches : public Base {
 public:
  using handle_type = Handle<T, Owner>;
  using span_handle_type = SpanHandle<T, Owner>;
  using batch_handle_type = BatchHandle<T, Owner>;

  /// Effects: builds n objects from `args`, with slots taken in one step, and writes their handles to `out`.
  /// Returns: the end of the output. Throws: as allocate(), before anything is written; the pool is then unchanged.
  /// (Exempt: constructors that take slots of this pool may use up those that the batch needs; some handles are then
  /// already written.)
  template <class OutputIt, class... Args> requires(!std::is_reference_v<OutputIt>)
  OutputIt allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    if (auto error = batch<quick_batch<OutputIt, Args...>>(n, out, from(args...))) [[unlikely]]
      Pool::fail_typed(*error);
    return out;
  }

  /// The same; returns false if allocate_batch() would throw for lack of slots.
  template <class OutputIt, class... Args>
  [[nodiscard]] bool try_allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    return !batch<quick_batch<OutputIt, Args...>>(n, out, from(args...));
  }

#if __STDC_HOSTED__
  /// Returns: handles to objects built from `values`, one each; elements are moved from an rvalue range that owns them.
  /// Throws: as allocate_batch(n, out), and std::bad_alloc if n slots are free but the heap has no room for the vector.
  /// The pool is then unchanged.
  template <class Range> requires requires(Range& values) {
    std::end(values);
    { std::begin(values) } -> std::forward_iterator;
  } [[nodiscard]] std::vector<handle_type> allocate_batch(Range&& values) {
    std::size_t const n = slots_for(std::begin(values), std::end(values));
    pool().open_inline();
    if (Error error; !pool().core_.bring_to_hand(n, error)) Pool::fail_typed(error);
    std::vector<handle_type> handles;
    handles.reserve(n);
    auto next = std::begin(values);
    auto out = std::back_inserter(handles);
    auto error = batch<false>(n, out, [&](Taken taken) -> T* {
      if constexpr (std::is_lvalue_reference_v<Range> ||
                    std::ranges::enable_borrowed_range<std::remove_cvref_t<Range>>) {
        return pool().construct(taken, *next++);
      } else {
        return pool().construct(taken, std::move(*next++));
      }
    });
    if (error) Pool::fail_typed(*error);
    return handles;
  }
#endif

  /// Returns: one owner for n objects, each built from `args`, in the order of taking their slots; an empty handle for
  /// n == 0. (A distinct name, because the second argument of allocate_batch(n, out, args...) is an iterator.)
  /// Throws: as allocate(), and AllocationFailed if the heap has no room for n addresses. The pool is then unchanged.
  /// Complexity: linear: n times that of allocate() and of releasing a handle, under one lock.
  template <class... Args> [[nodiscard]] batch_handle_type allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    if (auto error = listed(handle, n, args...)) [[unlikely]]
      Pool::fail_typed(*error);
    return handle;
  }
  /// The same; returns an empty handle if the other would throw for lack of slots or memory.
  template <class... Args>
  [[nodiscard]] batch_handle_type try_allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    (void)listed(handle, n, args...);
    return handle;
  }

  /// Returns: one owner for n adjacent objects, an array, each built from `args`; an empty handle for n == 0.
  /// Requires: BitmapAllocator, and slots of sizeof(T) bytes: no Recycle, Shared or PoolConfig::alignment, and
  /// Generations only in a pool that does not grow.
  /// Effects: takes the lowest n adjacent free slots of one block (first fit); fresh slots may follow used ones. A
  /// growing pool without such a run adds a block of at least n slots. Slots in thread caches are gathered first.
  /// Throws: PoolExhausted, MaxCapacityExceeded; the pool is then unchanged. If enough slots are free, but no n of them
  /// adjacent, the message says so (Error::requested is n; capacity less allocated are free). Release handles, allocate
  /// runs before single objects, allocate shorter runs, or let the pool grow.
  /// Complexity: linear in the bitmap's words (64 slots each) up to the run, log2 n steps per word, under the lock. No
  /// other way to take slots searches for them.
  /// Fragmentation: none inside a run. A buddy system finds a run in log n steps, but rounds it up to a power of two
  /// and wastes up to half of it. First fit leaves gaps between runs instead; single objects fill them, as they take
  /// the lowest free slot. Runs of one length leave no gap that the next one does not fit.
  template <class... Args> [[nodiscard]] span_handle_type allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    if (auto error = adjacent(handle, n, args...)) [[unlikely]]
      Pool::fail_typed(*error);
    return handle;
  }
  /// The same; returns an empty handle if the other would throw for lack of slots.
  template <class... Args> [[nodiscard]] span_handle_type try_allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    (void)adjacent(handle, n, args...);
    return handle;
  }

 protected:
  using Base::Base;

 private:
  template <class U, class O, class Slots> friend class detail::OwnedSlots;
  static constexpr std::size_t batch_slots = 64;  ///< slots; larger batches keep their addresses on the heap
  static constexpr std::size_t batch_chunk = 8;   ///< slots; taken at a time, in registers, if nothing can throw
  static constexpr std::size_t most_slots = static_cast<std::size_t>(-1);  ///< longer ranges are clamped to this

  struct Memory : Listed {
    ~Memory() { free(); }
  };

  [[nodiscard]] Pool& pool() noexcept { return static_cast<Pool&>(*this); }

  /// The length of a range. (libc++ 14 has no std::ranges::distance.)
  template <class It, class End> static std::size_t slots_for(It first, End const last) {
    std::uintmax_t length = 0;
    if constexpr (std::sized_sentinel_for<End, It>) length = static_cast<std::uintmax_t>(last - first);
    else
      for (; first != last; ++first) ++length;
    return static_cast<std::size_t>(length < most_slots ? length : most_slots);
  }

  /// True if writing the handles runs no user code except a noexcept constructor of T; objects are then built and
  /// handed over a few at a time. (Assignment to anything but a handle may throw.)
  template <class OutputIt, class... Args>
  static constexpr bool quick_batch =
      (std::same_as<OutputIt, handle_type*> || std::same_as<OutputIt, Handle<T>*>) && std::is_trivially_copyable_v<T> &&
      !HasOnAcquire<T> && !Pool::ends_by_user_code && !Pool::is_locked &&
      Pool::template nothrow_build<Args const&...> && (std::is_scalar_v<Args> && ...);

  /// Builds every object of a batch from the same arguments. Copies scalars: an overwritten handle may own them.
  template <class... Args> [[nodiscard]] auto from(Args const&... args) {
    if constexpr ((std::is_scalar_v<Args> && ...))
      return [this, args...](Taken taken) { return pool().construct(taken, args...); };
    else return [&](Taken taken) { return pool().construct(taken, args...); };
  }

  /// Quick: see quick_batch. Returns: the error if fewer than n slots are available.
  template <bool Quick, class OutputIt, class Build>
  FASTALLOC_ALWAYS_INLINE std::optional<Error> batch(std::size_t n, OutputIt& out, Build&& build) {
    pool().open_inline();
    if constexpr (Quick) {
      auto& core = pool().core_;
      Error error;
      if (!core.bring_to_hand(n, error)) [[unlikely]]
        return error;
      while (n != 0) {
        std::byte* list[batch_chunk];
        std::size_t fresh = 0;
        std::size_t const count =
            n < batch_chunk ? core.take_many(list, n, fresh) : core.take_many(list, batch_chunk, fresh);
        // A constructor took slots meanwhile.
        if (count == 0 && !core.bring_to_hand(n, error)) [[unlikely]]
          return error;
        auto const build_next = [&](std::size_t i) {
          T* const object = build(Taken{list[i], i >= fresh});
          *out++ = HandleAccess::make<Owner>(object, pool().derived());
        };
        if (count == batch_chunk) {
          FASTALLOC_UNROLL for (std::size_t i = 0; i != batch_chunk; ++i) build_next(i);
        } else {
          for (std::size_t i = 0; i != count; ++i) build_next(i);
        }
        n -= count;
      }
      return std::nullopt;
    } else {
      return checked_batch(n, out, build);
    }
  }

  /// Builds everything before it writes anything, so it keeps the addresses of all n slots.
  template <class OutputIt, class Build>
  std::optional<Error> checked_batch(std::size_t n, OutputIt& out, Build& build) {
    std::byte* few[batch_slots];
    Memory many;
    if (n > batch_slots)
      if (auto error = remember(many, n)) return error;
    Building<Pool, Listed> building{pool(), Listed{n > batch_slots ? many.list : few}, 0, 0};
    if (Error error; !pool().core_.take_all(building.at.list, n, building.count, building.fresh, error)) return error;
    building.build_all(build);
    while (building.next != n) {
      handle_type handle = HandleAccess::make<Owner>(Pool::object_in(building.at(building.next++)), pool().derived());
      *out++ = std::move(handle);
    }
    return std::nullopt;
  }

  template <class... Args> std::optional<Error> listed(batch_handle_type& out, std::size_t n, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    if (n == 0) return std::nullopt;
    pool().open_inline();
    Memory memory;
    if (auto error = remember(memory, n)) return error;
    Building<Pool, Listed> building{pool(), memory, 0, 0};
    if (Error error; !pool().core_.take_all(building.at.list, n, building.count, building.fresh, error)) return error;
    auto build = from(args...);
    building.build_all(build);
    building.next = n;
    out = batch_handle_type(Listed{std::exchange(memory.list, nullptr)}, n, pool().derived());
    return std::nullopt;
  }

  template <class... Args> std::optional<Error> adjacent(span_handle_type& out, std::size_t n, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    static_assert(TakesRuns<typename Pool::Supply::Slots>,
                  "fastalloc: adjacent slots are found in a bitmap; use BitmapAllocator with allocate_n(), or "
                  "allocate_batch_handle() with any allocator");
    static_assert(Pool::slot_size == sizeof(T),
                  "fastalloc: the slots of this pool are bigger than T (Recycle, Generations and Shared keep something "
                  "in each, those of a ThreadLocalPool "
                  "hold at least an address), so adjacent objects are no array; use allocate_batch_handle(), or leave "
                  "those policies out");
    if (n == 0) return std::nullopt;
    pool().open_inline();
    auto& core = pool().core_;
    if (core.stride() > sizeof(T)) return apart();
    Error error;
    auto const run = core.take_run(n, error);
    if (run.data == nullptr) return error;
    using At = Adjacent<sizeof(T)>;
    Building<Pool, At> building{pool(), At{run.data}, n, n - run.fresh};
    auto build = from(args...);
    building.build_all(build);
    building.next = n;
    out = span_handle_type(At{run.data}, n, pool().derived());
    return std::nullopt;
  }

  /// Effects: allocates room for n addresses; if n is large, secures n slots first. Returns: the error, if any.
  FASTALLOC_COLD std::optional<Error> remember(Memory& memory, std::size_t n) {
    if (Error error; n > batch_slots && !pool().core_.bring_to_hand(n, error)) return error;
    if (memory.make(n)) return std::nullopt;
    return pool().core_.describe(ErrorCode::allocation_failed,
                                 "no memory to remember the slots of a batch; allocate fewer objects at once", n);
  }

  [[nodiscard]] FASTALLOC_COLD Error apart() {
    Error error =
        pool().core_.describe(ErrorCode::invalid_alignment,
                              "PoolConfig::alignment (the requested bytes) keeps objects apart, so adjacent ones "
                              "are no array; give T the alignment (alignas), or leave it 0",
                              pool().core_.stride());
    error.unit = "bytes";
    return error;
  }

  /// Destroys n objects, the last one first, then returns their slots: in one step if no user code can observe the dead
  /// objects meanwhile, or if a lock makes single steps expensive. Objects that the checks policy rejects stay.
  template <class At> FASTALLOC_ALWAYS_INLINE void release_all(At at, std::size_t n) noexcept {
    if constexpr (!Pool::is_locked && Pool::ends_by_user_code) {
      while (n-- != 0) pool().release_from_handle(Pool::object_in(at(n)));
      return;
    }
    std::size_t end = n;
    auto const give = [&](std::size_t from) {
      if (from != end) pool().return_slots([&](std::size_t i) { return at(from + i); }, end - from);
    };
    for (std::size_t i = n; i-- != 0;) {
      if (pool().dispose(Pool::object_in(at(i)))) [[likely]]
        continue;
      give(i + 1);
      end = i;
    }
    give(0);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
