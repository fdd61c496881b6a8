// SPDX-License-Identifier: MIT OR Apache-2.0
// InlineStorage<N>: N slots and the bookkeeping of the other policies, inside the pool object itself.
//
// The policy states a number of slots; the pool, which knows T, turns it into bytes (region<bytes, alignment>).
#pragma once

#include <fastalloc/storage/storage.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// `FixedPool<T, InlineStorage<N>>` uses no heap, has capacity N and is default constructible. Complexity: 1 step.
template <std::size_t Slots> struct InlineStorage {
  static_assert(Slots >= 1, "fastalloc: InlineStorage<0> holds nothing; write InlineStorage<N> with N >= 1");
  static constexpr std::size_t slot_count = Slots;

  template <std::size_t Bytes, std::size_t Alignment> class region {
   public:
    static constexpr bool can_grow = false;
    static constexpr bool is_borrowed = true;
    static constexpr std::size_t fixed_alignment = Alignment;  ///< bytes; a greater alignment is refused

    constexpr region() noexcept : unused_() {}

    /// Returns: the only block; null when it is too small or not aligned enough.
    [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
      return bytes <= Bytes && alignment <= Alignment ? bytes_ : nullptr;
    }
    void release(void*, std::size_t, std::size_t) noexcept {}

   private:
    // A union: a pool on the stack does not clear its slots, and one in static storage lies in .bss.
    union {
      char unused_;
      alignas(Alignment) std::byte bytes_[Bytes];
    };
  };
};

static_assert(Storage<InlineStorage<1>::region<64, 8>>);

}  // namespace fastalloc::inline FASTALLOC_MODE
