// SPDX-License-Identifier: MIT OR Apache-2.0
// Purging: gives the pages of free slots back to the system. BasicPool declares and documents purge().
//
//   block   | live | free | free ............ free | live | untouched ...... | marks | metadata |
//                      |page|page|page|page|             |page|page|            the whole pages of each gap go back
//
// Addresses stay mapped: the next access to such a page finds zeros. Where free slots keep something (links, an object
// of Recycle, the index of a key, a fill to be verified), only untouched slots are free of contents.
#pragma once

#include <fastalloc/pool/basic_pool.hpp>

#if defined(__linux__) && __STDC_HOSTED__
#include <sys/mman.h>
#include <unistd.h>
#define FASTALLOC_CAN_PURGE 1
#else
#define FASTALLOC_CAN_PURGE 0
#endif

namespace fastalloc::detail::inline FASTALLOC_MODE {

#if FASTALLOC_CAN_PURGE
/// Effects: gives the whole pages of [from, to), of at least `least` bytes, back. Returns: the bytes of those that were
/// in memory; 0 if the system refuses, as for locked pages.
inline std::size_t purge_pages(std::byte* from, std::byte* to, std::size_t least) noexcept {
  long const page_size = ::sysconf(_SC_PAGESIZE);
  auto const page = static_cast<std::size_t>(page_size);
  std::size_t const whole = greater(page, least);  // some kernels round the end up to a huge page
  auto const first = round_up(reinterpret_cast<std::uintptr_t>(from), whole);
  auto const last = reinterpret_cast<std::uintptr_t>(to) / whole * whole;
  if (page_size <= 0 || first >= last) return 0;
  std::size_t resident = 0;
  for (std::uintptr_t at = first; at < last;) {
    unsigned char pages[256];
    std::size_t const count = smaller((last - at) / page, sizeof pages);
    if (::mincore(reinterpret_cast<void*>(at), count * page, pages) != 0) return 0;
    for (std::size_t i = 0; i != count; ++i) resident += pages[i] & 1U;
    at += count * page;
  }
  if (resident == 0) return 0;
  return ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0 ? resident * page : 0;
}
#endif

template <class Choices> class Purging<PoolCore<Choices>> {
  using Core = PoolCore<Choices>;
  using Shape = typename Choices::shape;
  using Slots = typename Core::Supply::Slots;
  static constexpr bool tracks = TracksOccupancy<Slots>;
  /// Nothing in a free slot is read again.
  static constexpr bool has_no_contents = !Choices::keeps_objects && !Choices::checks::verifies_fill &&
                                          !(Shape::keyed && Shape::growing) &&
                                          link_bytes<typename Choices::slot_policy>(Shape::growing, 1) == 0;

 public:
  static std::size_t run([[maybe_unused]] Core& core) noexcept {
#if FASTALLOC_CAN_PURGE
    if constexpr (!requires { requires Choices::storage::is_borrowed; } && Choices::inline_slots == 0) {
      Snapshot snapshot;
      std::size_t missing = 0;
      do {
        if (missing != 0 && !snapshot.make_room(missing)) return 0;
        [[maybe_unused]] auto const guard = core.inside_slow();
        core.collect();
        core.supply_.sync_bump_pointer();
        if constexpr (!has_no_contents) {
          return gaps(core, [] { return static_cast<std::byte*>(nullptr); });
        } else if constexpr (tracks) {
          LiveCursor<typename Core::Supply> cursor(core.supply_);
          return gaps(core, [&, first = true]() mutable {
            if (!std::exchange(first, false)) cursor.next();
            return cursor.slot();
          });
        } else {
          missing = core.supply_.begin(snapshot);
          if (missing != 0) continue;
          std::size_t const bytes = gaps(core, [&] { return core.supply_.next(snapshot); });
          core.supply_.end(snapshot);
          return bytes;
        }
      } while (missing != 0);
    }
#endif
    return 0;
  }

 private:
#if FASTALLOC_CAN_PURGE
  /// `next()`: the live slots in address order, then null.
  template <class Next> static std::size_t gaps(Core& core, Next&& next) noexcept {
    std::size_t bytes = 0;
    std::size_t const stride = core.stride();
    auto& blocks = core.supply_.blocks();
    std::size_t least = 1;
    if constexpr (requires { core.storage().page_bytes(); }) least = core.storage().page_bytes();
    std::byte* live = next();
    for (std::size_t b = 0; b != blocks.count(); ++b) {
      auto const& block = blocks[b];
      std::byte* at = has_no_contents ? block.data : block.data + block.high_water * stride;
      for (; live != nullptr && blocks.holds(block, live); live = next()) {
        bytes += purge_pages(at, live, least);
        at = live + stride;
      }
      bytes += purge_pages(at, block.end, least);
    }
    return bytes;
  }
#endif
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

#undef FASTALLOC_CAN_PURGE
