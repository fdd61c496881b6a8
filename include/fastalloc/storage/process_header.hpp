// SPDX-License-Identifier: MIT OR Apache-2.0
// ProcessHeader: the header in front of the slots of a pool shared by processes. Other processes find the pool by it
// and detect differences.
//
//   state     creating -> ready -> ended; any other value: no pool. `creating` is written first, `ready` last
//   number    identifies the pool: pools created in the same bytes, one after the other, have different numbers
//   layout    the position of everything, as 64-bit numbers: 32-bit and 64-bit programs read the same
//   behind    the pool's statistics, if any
#pragma once

#include <fastalloc/storage/field_rows.hpp>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The values that must be equal in all programs that use the pool.
struct ProcessLayout {
  std::uint64_t version = 2;     ///< of the format in the span; increases with every change of it
  std::uint64_t word_bytes = 0;  ///< of a std::size_t
  std::uint64_t swap_bytes = 0;  ///< of the words that compare-and-swap changes
  std::uint64_t slot_bytes = 0;
  std::uint64_t stride = 0;
  std::uint64_t alignment = 0;
  std::uint64_t slot_count = 0;
  std::uint64_t generation_bits = 0;
  std::uint64_t checks = 0;
  std::uint64_t stats_bytes = 0;
  std::uint64_t bytes = 0;  ///< of the whole pool, the sum of the parts

  /// True when `there` describes this pool; otherwise the error states the difference: requested here, limit there.
  [[nodiscard]] bool matches(ProcessLayout const& there, Error& error) const noexcept {
    static constexpr FieldRow<ProcessLayout> rows[] = {
        {&ProcessLayout::version, "(version)",
         "the pool in the span was made by another version of fastalloc (the limit); build both programs with the same "
         "one"},
        {&ProcessLayout::word_bytes, "bytes",
         "the pool in the span was made by a program with words of another size (the limit); build both for the same "
         "kind of processor"},
        {&ProcessLayout::swap_bytes, "bytes",
         "the pool in the span was made by a program that swaps words of another size (the limit); build both for the "
         "same kind of processor"},
        {&ProcessLayout::slot_bytes, "bytes",
         "the pool in the span has slots of another size (the limit); attach with the T, and the policies, that it was "
         "created with"},
        {&ProcessLayout::alignment, "bytes",
         "the pool in the span has another alignment (the limit); attach with its T and its PoolConfig::alignment, or "
         "without a PoolConfig"},
        {&ProcessLayout::stride, "bytes",
         "the pool in the span has its slots further or less far apart (the limit); attach with its "
         "PoolConfig::alignment, or without a PoolConfig"},
        {&ProcessLayout::slot_count, "slots",
         "the pool in the span has another capacity (the limit); attach with that in PoolConfig::capacity, or without "
         "a PoolConfig"},
        {&ProcessLayout::generation_bits, "bits",
         "the pool in the span has keys of another size (the limit; 0: none); attach with its policy, Generations or "
         "none"},
        {&ProcessLayout::checks, "(checks)",
         "the pool in the span has another checks policy (the limit; 0: NoChecks); name the policy after T in both "
         "programs, since the default depends on NDEBUG"},
        {&ProcessLayout::stats_bytes, "bytes",
         "the pool in the span has other statistics (the limit; 0: NoStats); attach with its statistics policy"},
        {&ProcessLayout::bytes, "bytes",
         "the pool in the span has another size (the limit); attach with the T, and the policies, that it was created "
         "with"}};
    Error difference;
    if (agree(rows, *this, there, difference)) return true;
    return error = difference, false;
  }
};

class ProcessHeader {
  enum : std::uint32_t { creating = 0xFA57'A110, ready, ended };

 public:
  /// Begins a pool. Reads nothing of the previous contents, which may be uninitialised.
  static void create(std::byte* at, ProcessLayout const& layout, std::uint32_t number) noexcept {
    auto* const state = ::new (static_cast<void*>(at)) std::atomic<std::uint32_t>;
    state->store(creating, std::memory_order_relaxed);  // relaxed: the fence orders it
#if FASTALLOC_TSAN
    // seq_cst: replaces the fence, which ThreadSanitizer does not support
    state->exchange(creating, std::memory_order_seq_cst);
#else
    // release: all later writes, those of the pool included, come after the state
    std::atomic_thread_fence(std::memory_order_release);
#endif
    std::memcpy(at + offsetof(ProcessHeader, number_), &number, sizeof number);
    std::memcpy(at + offsetof(ProcessHeader, layout_), &layout, sizeof layout);
  }
  /// The number of the pool that was created in these bytes before, or 0. Requires: the bytes are initialised.
  [[nodiscard]] static std::uint32_t number_before(std::byte const* at) noexcept {
    std::uint32_t words[2];  // state, number
    std::memcpy(words, at, sizeof words);
    return words[0] >= creating && words[0] <= ended ? words[1] : 0;
  }
  /// The header of the pool in the span. Returns: null, and sets the error, when there is no pool to attach to.
  static ProcessHeader* find(std::span<std::byte> bytes, Error& error) noexcept {
    auto const refuse = [&](char const* text) { return error = Error{.text = text}, nullptr; };
    if (bytes.size() < sizeof(ProcessHeader))
      return refuse("the span is too small to hold a pool; attach to all the bytes that it was created in");
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(ProcessHeader) != 0)
      return refuse("the span does not begin where a pool could have been created; attach to all the bytes that it was "
                    "created in");
    auto* const header = std::launder(reinterpret_cast<ProcessHeader*>(bytes.data()));
    switch (header->state_.load(std::memory_order_acquire)) {  // acquire: pairs with the release in publish()
      case ready: return header;
      case creating: return refuse("the pool in the span is still being created; attach again when that is done");
      case ended:
        return refuse("the pool in the span was destroyed by the process that created it; create one anew, with "
                      "ExternalStorage(span)");
      default:
        return refuse("the span holds no pool (yet); create one, with ExternalStorage(span), before others attach to "
                      "the same bytes");
    }
  }

  void publish() noexcept { state_.store(ready, std::memory_order_release); }  // release: all that the pool wrote
  /// Ends the pool created with this number, not one created in its place since.
  void end(std::uint32_t number) noexcept {
    if (number_ == number) state_.store(ended, std::memory_order_relaxed);  // relaxed: publishes nothing
  }

  [[nodiscard]] ProcessLayout const& layout() const noexcept { return layout_; }
  /// Also the seed of the pool's generations.
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }

 private:
  ProcessHeader() = default;

  std::atomic<std::uint32_t> state_{creating};
  std::uint32_t number_ = 0;
  alignas(8) ProcessLayout layout_{};
};

static_assert(sizeof(ProcessHeader) == 96 && std::is_standard_layout_v<ProcessHeader> &&
              std::is_trivially_copyable_v<ProcessLayout>);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
