// SPDX-License-Identifier: MIT OR Apache-2.0
// Batches: what a pool does with many objects at once. BasicPool declares and documents the functions.
//
//   allocate_batch          n handles                           taken in one step, returned one by one
//   allocate_batch_handle   one BatchHandle: n objects          taken and returned in one step
//   allocate_n              one SpanHandle: n adjacent objects  the same; BitmapAllocator
//
// All or nothing: every object is built before the first owner exists; an exception undoes them all.
#pragma once

#include <fastalloc/handle/batch_handle.hpp>
#include <fastalloc/handle/span_handle.hpp>
#include <fastalloc/pool/basic_pool.hpp>

#if __STDC_HOSTED__
#include <iterator>
#include <vector>
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class Derived, class T, class Kind, class... Ps> class Batches<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Owner = typename Pool::Owner;
  using handle_type = Handle<T, Owner>;
  using span_handle_type = SpanHandle<T, Owner>;
  using batch_handle_type = BatchHandle<T, Owner>;

 public:
  FASTALLOC_ALWAYS_INLINE explicit Batches(Pool& pool) noexcept : pool_(pool) {}

  template <class OutputIt, class... Args>
  FASTALLOC_ALWAYS_INLINE std::optional<Error> write(std::size_t n, OutputIt& out, Args const&... args) {
    static_assert(Pool::template ArgumentCheck<Args const&...>::done);
    return batch<quick_batch<OutputIt, Args...>>(n, out, from(args...));
  }

#if __STDC_HOSTED__
  template <class Range> [[nodiscard]] std::vector<handle_type> move_from(Range&& values) {
    std::size_t const n = slots_for(std::begin(values), std::end(values));
    pool_.open_inline();
    [[maybe_unused]] auto const told = pool_.tracing();
    if (Error error; !pool_.core_.bring_to_hand(n, error)) pool_.fail_typed(error);
    std::vector<handle_type> handles;
    handles.reserve(n);
    auto next = std::begin(values);
    auto out = std::back_inserter(handles);
    auto error = batch<false>(n, out, [&](Taken taken) -> T* {
      if constexpr (std::is_lvalue_reference_v<Range> ||
                    std::ranges::enable_borrowed_range<std::remove_cvref_t<Range>>) {
        return pool_.construct(taken, *next++);
      } else {
        return pool_.construct(taken, std::move(*next++));
      }
    });
    if (error) pool_.fail_typed(*error);
    return handles;
  }
#endif

  template <class... Args> std::optional<Error> listed(batch_handle_type& out, std::size_t n, Args const&... args) {
    static_assert(Pool::template ArgumentCheck<Args const&...>::done);
    if (n == 0) return std::nullopt;
    pool_.open_inline();
    [[maybe_unused]] auto const told = pool_.tracing();
    Memory memory;
    if (auto error = remember(memory, n)) return error;
    Building<Pool, Listed> building{pool_, memory, 0, 0};
    if (Error error; !pool_.core_.pop_all(building.at.list, n, building.count, building.untouched, error)) return error;
    auto build = from(args...);
    building.build_all(build);
    building.next = n;
    out = batch_handle_type(Listed{std::exchange(memory.list, nullptr)}, n, pool_.derived());
    return std::nullopt;
  }

  template <class... Args> std::optional<Error> adjacent(span_handle_type& out, std::size_t n, Args const&... args) {
    static_assert(Pool::template ArgumentCheck<Args const&...>::done);
    static_assert(TakesRuns<typename Pool::Supply::Slots>,
                  "fastalloc: adjacent slots are found in a bitmap; use BitmapAllocator with allocate_n(), or "
                  "allocate_batch_handle() with any allocator");
    static_assert(Pool::slot_size == sizeof(T),
                  "fastalloc: the slots of this pool are bigger than T (Recycle, Generations and Shared keep something "
                  "in each, those of a ThreadLocalPool "
                  "hold at least an address), so adjacent objects are no array; use allocate_batch_handle(), or leave "
                  "those policies out");
    if (n == 0) return std::nullopt;
    pool_.open_inline();
    [[maybe_unused]] auto const told = pool_.tracing();
    auto& core = pool_.core_;
    if (core.stride() > sizeof(T)) return apart();
    Error error;
    auto const run = core.pop_run(n, error);
    if (run.data == nullptr) return error;
    using At = Adjacent<sizeof(T)>;
    Building<Pool, At> building{pool_, At{run.data}, n, n - run.untouched};
    auto build = from(args...);
    building.build_all(build);
    building.next = n;
    out = span_handle_type(At{run.data}, n, pool_.derived());
    return std::nullopt;
  }

  /// Destroys n objects, the last one first, then returns their slots: in one step if no user code can observe the dead
  /// objects meanwhile, or if a lock makes single steps expensive. Objects that the checks policy rejects stay.
  template <class At> FASTALLOC_ALWAYS_INLINE void release_all(At at, std::size_t n) noexcept {
    if constexpr (!Pool::is_locked && Pool::ends_by_user_code) {
      while (n-- != 0) pool_.release_from_handle(Pool::object_in(at(n)));
      return;
    }
    std::size_t end = n;
    auto const push = [&](std::size_t from) {
      if (from != end) pool_.return_slots([&](std::size_t i) { return at(from + i); }, end - from);
    };
    for (std::size_t i = n; i-- != 0;) {
      if (pool_.dispose(Pool::object_in(at(i)))) [[likely]]
        continue;
      push(i + 1);
      end = i;
    }
    push(0);
  }

 private:
  static constexpr std::size_t batch_slots = 64;  ///< slots; larger batches keep their addresses on the heap
  static constexpr std::size_t batch_chunk = 8;   ///< slots; taken at a time, in registers, if nothing can throw
  static constexpr std::size_t most_slots = static_cast<std::size_t>(-1);  ///< longer ranges are clamped to this

  struct Memory : Listed {
    ~Memory() { free(); }
  };

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
      return [this, args...](Taken taken) { return pool_.construct(taken, args...); };
    else return [&](Taken taken) { return pool_.construct(taken, args...); };
  }

  /// Quick: see quick_batch. Returns: the error if fewer than n slots are available.
  template <bool Quick, class OutputIt, class Build>
  FASTALLOC_ALWAYS_INLINE std::optional<Error> batch(std::size_t n, OutputIt& out, Build&& build) {
    pool_.open_inline();
    [[maybe_unused]] auto const told = pool_.tracing();
    if constexpr (Quick) {
      auto& core = pool_.core_;
      Error error;
      if (!core.bring_to_hand(n, error)) [[unlikely]]
        return error;
      while (n != 0) {
        std::byte* list[batch_chunk];
        std::size_t untouched = 0;
        std::size_t const count =
            n < batch_chunk ? core.pop_many(list, n, untouched) : core.pop_many(list, batch_chunk, untouched);
        // A constructor took slots meanwhile.
        if (count == 0 && !core.bring_to_hand(n, error)) [[unlikely]]
          return error;
        auto const build_next = [&](std::size_t i) {
          T* const object = build(Taken{list[i], i >= untouched});
          *out++ = HandleAccess::make<Owner>(object, pool_.derived());
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
    Building<Pool, Listed> building{pool_, Listed{n > batch_slots ? many.list : few}, 0, 0};
    if (Error error; !pool_.core_.pop_all(building.at.list, n, building.count, building.untouched, error)) return error;
    building.build_all(build);
    while (building.next != n) {
      handle_type handle = HandleAccess::make<Owner>(Pool::object_in(building.at(building.next++)), pool_.derived());
      *out++ = std::move(handle);
    }
    return std::nullopt;
  }

  /// Effects: allocates room for n addresses; if n is large, secures n slots first. Returns: the error, if any.
  FASTALLOC_COLD std::optional<Error> remember(Memory& memory, std::size_t n) {
    if (Error error; n > batch_slots && !pool_.core_.bring_to_hand(n, error)) return error;
    if (memory.make(n)) return std::nullopt;
    return pool_.core_.describe(ErrorCode::allocation_failed,
                                "no memory to remember the slots of a batch; allocate fewer objects at once", n);
  }

  [[nodiscard]] FASTALLOC_COLD Error apart() {
    Error error =
        pool_.core_.describe(ErrorCode::invalid_alignment,
                             "PoolConfig::alignment (the requested bytes) keeps objects apart, so adjacent ones "
                             "are no array; give T the alignment (alignas), or leave it 0",
                             pool_.core_.stride());
    error.unit = "bytes";
    return error;
  }

  Pool& pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
