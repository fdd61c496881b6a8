// SPDX-License-Identifier: MIT OR Apache-2.0
// Batches: what a BasicPool does for many objects at once.
//
//   allocate_batch          n handles                        taken in one step, returned one by one
//   allocate_batch_handle   one BatchHandle: n objects       taken and returned in one step
//   allocate_n              one SpanHandle: n adjacent ones  the same; BitmapAllocator
//
// All of them are all or nothing: everything is built before the first owner exists, and what throws half way is
// undone.
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

/// Slots taken together; at(i) is the i-th. [next, built) hold objects that nobody owns yet, [built, count) hold
/// nothing.
template <class Pool, class At> struct Building {
  Pool& pool;
  At at;
  std::size_t count;
  std::size_t fresh;
  std::size_t built = 0;
  std::size_t acquired = 0;  ///< objects that heard on_acquire()
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

/// Pool: the BasicPool that derives from this. Owner: of its handles.
template <class Pool, class T, class Owner> class Batches : public AnyOwner {
 public:
  using handle_type = Handle<T, Owner>;
  using span_handle_type = SpanHandle<T, Owner>;
  using batch_handle_type = BatchHandle<T, Owner>;

  /// Writes handles to n objects, each built from `args`, to `out`; takes the slots in one step. Returns: the end of
  /// the output. All or nothing: throws as allocate() does, before anything is written, and the pool is then as it was.
  /// (A constructor that takes slots of the same pool itself may use up what the batch needs: then some handles are
  /// written already.)
  template <class OutputIt, class... Args> requires(!std::is_reference_v<OutputIt>)
  OutputIt allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    if (auto error = batch<quick_batch<OutputIt, Args...>>(n, out, from(args...))) [[unlikely]]
      Pool::fail_typed(*error);
    return out;
  }

  /// The same; returns false where allocate_batch() would throw for want of slots.
  template <class OutputIt, class... Args>
  [[nodiscard]] bool try_allocate_batch(std::size_t n, OutputIt out, Args const&... args) {
    Pool::template check_arguments<Args const&...>();
    return !batch<quick_batch<OutputIt, Args...>>(n, out, from(args...));
  }

#if __STDC_HOSTED__
  /// One object for each of `values`, built from it (moved from where the range is an rvalue and owns them). All or
  /// nothing: throws as allocate_batch(n, out) does, and, when n slots are free, std::bad_alloc where the heap has no
  /// room for the vector.
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

  /// One owner for n objects, each built from `args`, in the order in which their slots were taken. Named after what it
  /// returns: beside allocate_batch(n, out, args...), whose second argument is an iterator, the same name would say two
  /// things. n == 0 gives an empty one. All or nothing: throws as allocate() does, and AllocationFailed when there is
  /// no heap for n addresses; the pool is then as it was. Complexity: linear: n times that of allocate() and of a
  /// handle's end, under one lock.
  template <class... Args> [[nodiscard]] batch_handle_type allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    if (auto error = listed(handle, n, args...)) [[unlikely]]
      Pool::fail_typed(*error);
    return handle;
  }
  /// The same; the handle is empty where the other would throw for want of slots or memory.
  template <class... Args>
  [[nodiscard]] batch_handle_type try_allocate_batch_handle(std::size_t n, Args const&... args) {
    batch_handle_type handle;
    (void)listed(handle, n, args...);
    return handle;
  }

  /// One owner for n adjacent objects, each built from `args`: an array. Needs BitmapAllocator, and slots of sizeof(T)
  /// bytes: no Recycle, Shared or PoolConfig::alignment, and Generations only where the pool does not grow. n == 0
  /// gives an empty one. All or nothing, as above.
  ///
  /// Which: the lowest n free slots side by side in one block (first fit); slots that were used before may be followed
  /// by fresh ones. A growing pool that has no such run adds a block of at least n slots.
  /// Complexity: linear in the words of the bitmap (64 slots each) up to the run, log2 n steps a word, under the lock:
  /// the one way to take slots that looks for them. Slots that threads cache are gathered first. Fragmentation: none
  /// inside, n slots are n slots. A buddy system finds a run in log n steps and rounds it up to a power of two, so up
  /// to half of it lies idle inside; first fit leaves gaps between runs instead, which single objects fill, since they
  /// take the lowest free slot, too. Runs of one length leave no gap that does not fit the next one. Failure:
  /// PoolExhausted, MaxCapacityExceeded. With many slots free none n of them may be adjacent, which the text then says
  /// (Error::requested is n, capacity less allocated are free): return handles, take runs before single objects, take
  /// shorter ones, or let the pool grow.
  template <class... Args> [[nodiscard]] span_handle_type allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    if (auto error = adjacent(handle, n, args...)) [[unlikely]]
      Pool::fail_typed(*error);
    return handle;
  }
  /// The same; the handle is empty where the other would throw for want of slots.
  template <class... Args> [[nodiscard]] span_handle_type try_allocate_n(std::size_t n, Args const&... args) {
    span_handle_type handle;
    (void)adjacent(handle, n, args...);
    return handle;
  }

 private:
  template <class U, class O, class Slots> friend class detail::OwnedSlots;
  static constexpr std::size_t batch_slots = 64;  ///< remembered without a heap allocation
  static constexpr std::size_t batch_chunk = 8;   ///< taken at a time, in registers, where nothing can throw
  static constexpr std::size_t most_slots = static_cast<std::size_t>(-1);  ///< longer ranges count as that

  struct Memory : Listed {
    ~Memory() { free(); }
  };

  [[nodiscard]] Pool& pool() noexcept { return static_cast<Pool&>(*this); }

  /// Elements of a range. (libc++ 14 has no std::ranges::distance.)
  template <class It, class End> static std::size_t slots_for(It first, End const last) {
    std::uintmax_t length = 0;
    if constexpr (std::sized_sentinel_for<End, It>) length = static_cast<std::uintmax_t>(last - first);
    else
      for (; first != last; ++first) ++length;
    return static_cast<std::size_t>(length < most_slots ? length : most_slots);
  }

  /// True when no code of the user runs while handles are written, but for a constructor of T that does not throw: then
  /// objects are built and handed over a few at a time. (Whatever is no handle may throw when it is assigned.)
  template <class OutputIt, class... Args>
  static constexpr bool quick_batch =
      (std::same_as<OutputIt, handle_type*> || std::same_as<OutputIt, Handle<T>*>) && std::is_trivially_copyable_v<T> &&
      !HasOnAcquire<T> && !Pool::ends_by_user_code && !Pool::is_locked &&
      Pool::template nothrow_build<Args const&...> && (std::is_scalar_v<Args> && ...);

  /// Builds every object of a batch from the same arguments. Scalars are copied: a handle that is overwritten may own
  /// them.
  template <class... Args> [[nodiscard]] auto from(Args const&... args) {
    if constexpr ((std::is_scalar_v<Args> && ...))
      return [this, args...](Taken taken) { return pool().construct(taken, args...); };
    else return [&](Taken taken) { return pool().construct(taken, args...); };
  }

  /// Quick: see quick_batch. Returns: the error when there are not n slots.
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
        // a constructor took slots meanwhile
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

  /// Everything is built before anything is written, so the slots of all n have to be remembered.
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

  /// Effects: memory for n addresses. Where n is big, looks for n slots first. Returns: the error, if any.
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

  /// Ends n objects, the last one first, then gives back their slots: in one step where nobody can meet the dead ones
  /// meanwhile, or a lock makes single steps dear. What the checks policy refuses stays where it is.
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
