// SPDX-License-Identifier: MIT OR Apache-2.0
// GrowthStrategy: the number of slots that a full GrowingPool adds.
#pragma once

#include <fastalloc/error.hpp>
#include <fastalloc/fwd.hpp>

#include <cstring>
#include <limits>
#include <type_traits>

namespace fastalloc::inline FASTALLOC_ABI {

/// A small value type, trivially copyable. All capacities are in slots.
class GrowthStrategy {
 public:
  /// The pool does not grow by itself; reserve() still adds slots.
  static constexpr GrowthStrategy none() noexcept { return {}; }

  /// Adds `slot_count` slots each time. Valid if slot_count >= 1.
  static constexpr GrowthStrategy linear(std::size_t slot_count) noexcept {
    GrowthStrategy strategy(Kind::linear);
    strategy.slots_ = slot_count;
    return strategy;
  }

  /// Multiplies the capacity: exponential(2.0) grows from 10 slots to 20, then 40. Adds at least one slot. Valid for
  /// finite factors > 1.
  static constexpr GrowthStrategy exponential(double factor) noexcept {
    GrowthStrategy strategy(Kind::exponential);
    strategy.factor_ = factor;
    return strategy;
  }

  /// Adds `fn(current capacity)` slots; 0 means no growth this time. The function may use the pool.
  /// Requires: F is trivially copyable and at most three pointers big, so that it needs no heap; capture a reference to
  /// larger state.
  template <class F> requires std::is_invocable_r_v<std::size_t, F const&, std::size_t>
  static GrowthStrategy custom(F fn) noexcept {
    static_assert(
        std::is_trivially_copyable_v<F> && sizeof(F) <= sizeof(Context) && alignof(F) <= alignof(Context),
        "fastalloc: GrowthStrategy::custom takes a trivially copyable function of at most three pointers; capture a "
        "reference, as in custom([&state](std::size_t current) { return state.next(current); })");
    GrowthStrategy strategy(Kind::custom);
    if constexpr (std::is_pointer_v<F>) {
      if (fn == nullptr) return strategy;
    }
    std::memcpy(strategy.context_.bytes, &fn, sizeof fn);
    strategy.call_ = [](Context const& context, std::size_t current) -> std::size_t {
      Context copy = context;
      return (*std::launder(reinterpret_cast<F const*>(copy.bytes)))(current);
    };
    return strategy;
  }

  [[nodiscard]] constexpr bool grows() const noexcept { return kind_ != Kind::none; }
  [[nodiscard]] constexpr bool is_custom() const noexcept { return kind_ == Kind::custom; }

  /// Returns: the slots to add to `current`; 0 for no growth. The pool clamps the result to max_capacity.
  [[nodiscard]] std::size_t slots_to_add(std::size_t current) const {
    switch (kind_) {
      case Kind::none: return 0;
      case Kind::linear: return slots_;
      case Kind::custom: return call_(context_, current);
      case Kind::exponential: break;
    }
    double const more = static_cast<double>(current) * (factor_ - 1.0);
    if (more >= static_cast<double>((std::numeric_limits<std::size_t>::max)() / 2))
      return (std::numeric_limits<std::size_t>::max)() / 2;
    auto const slot_count = static_cast<std::size_t>(more);
    return slot_count == 0 ? 1 : slot_count;
  }

  /// Returns: the error if a parameter is invalid.
  [[nodiscard]] Result<void> validate() const noexcept {
    if (kind_ == Kind::linear && slots_ == 0)
      return Error{.text =
                       "linear growth by 0 slots never grows; write GrowthStrategy::linear(n) with n >= 1, or none()"};
    if (kind_ == Kind::exponential && !(factor_ > 1.0 && factor_ <= (std::numeric_limits<double>::max)()))
      return Error{.text = "the factor of exponential growth must be finite and greater than 1; 2.0 is usual",
                   .factor = factor_,
                   .has_factor = true};
    if (kind_ == Kind::custom && call_ == nullptr)
      return Error{.text =
                       "the custom growth function is null; pass a function std::size_t(std::size_t current_capacity)"};
    return {};
  }

 private:
  enum class Kind : std::uint8_t { none, linear, exponential, custom };
  struct alignas(void*) Context {
    std::byte bytes[3 * sizeof(void*)];
  };

  constexpr GrowthStrategy() noexcept = default;
  constexpr explicit GrowthStrategy(Kind kind) noexcept : kind_(kind) {}

  Kind kind_ = Kind::none;
  std::size_t slots_ = 0;
  double factor_ = 0;
  std::size_t (*call_)(Context const&, std::size_t) = nullptr;
  Context context_{};
};

}  // namespace fastalloc::inline FASTALLOC_ABI
