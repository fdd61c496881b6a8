// SPDX-License-Identifier: MIT OR Apache-2.0
// PoolConfig: the parameters of a pool, set by designated initialisers or by the builder, with the same validation.
#pragma once

#include <fastalloc/pool/growth_strategy.hpp>

#include <bit>

namespace fastalloc::inline FASTALLOC_ABI {

/// The configuration of a pool: an aggregate, for designated initializers as in {.capacity = 100, .name = "orders"}.
/// The constructor of a pool validates it.
struct PoolConfig {
  std::size_t capacity = 0;                                 ///< slots; required, >= 1
  std::size_t max_capacity = 0;                             ///< slots; 0 = no limit; growth stops exactly here
  GrowthStrategy growth_strategy = GrowthStrategy::none();  ///< for GrowingPool; a FixedPool never grows
  std::size_t alignment = 0;                                ///< bytes, of every slot; 0 = alignof(T); a power of two
  bool pre_initialize = false;  ///< touch every page; Recycle: build the objects of `capacity` up front
  std::string_view name =
      {};  ///< copied; in errors, statistics and reports. Without a heap only in construction errors

  static PoolConfigBuilder builder() noexcept;

  /// Returns: the first error, if any.
  [[nodiscard]] Result<void> validate() const noexcept {
    if (capacity == 0) return Error{.text = "the capacity is 0 slots; set PoolConfig::capacity to at least 1"};
    if (max_capacity != 0 && max_capacity < capacity)
      return Error{.capacity = capacity,
                   .limit = max_capacity,
                   .text = "max_capacity (the limit) is below capacity; raise PoolConfig::max_capacity, or set it to 0 "
                           "for no limit"};
    if (alignment != 0 && !std::has_single_bit(alignment))
      return Error{.code = ErrorCode::invalid_alignment,
                   .capacity = capacity,
                   .requested = alignment,
                   .text = "the requested alignment is not a power of two; use 16, 32, 64, ..., or 0 for alignof(T)",
                   .unit = "bytes"};
    return growth_strategy.validate();
  }
};

/// Each setter returns the builder. build() returns the configuration if it is valid.
class PoolConfigBuilder {
 public:
  PoolConfigBuilder& capacity(std::size_t slot_count) noexcept { return config_.capacity = slot_count, *this; }
  PoolConfigBuilder& max_capacity(std::size_t slot_count) noexcept { return config_.max_capacity = slot_count, *this; }
  PoolConfigBuilder& growth_strategy(GrowthStrategy strategy) noexcept {
    return config_.growth_strategy = strategy, *this;
  }
  PoolConfigBuilder& alignment(std::size_t bytes) noexcept { return config_.alignment = bytes, *this; }
  /// Requires: the characters live until the pool is constructed.
  PoolConfigBuilder& name(std::string_view text) noexcept { return config_.name = text, *this; }
  PoolConfigBuilder& pre_initialize(bool value = true) noexcept { return config_.pre_initialize = value, *this; }

  /// Throws: InvalidConfiguration.
  [[nodiscard]] PoolConfig build() const {
    config_.validate().value();
    return config_;
  }
  [[nodiscard]] Result<PoolConfig> try_build() const noexcept {
    if (auto const valid = config_.validate(); !valid) return valid.error();
    return config_;
  }

 private:
  PoolConfig config_;
};

inline PoolConfigBuilder PoolConfig::builder() noexcept { return {}; }

}  // namespace fastalloc::inline FASTALLOC_ABI

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// The part of a PoolConfig that pools keep.
struct PoolLimits {
  std::size_t capacity = 0;
  std::size_t max_capacity = 0;
  GrowthStrategy growth_strategy = GrowthStrategy::none();
  std::size_t alignment = 0;
  bool pre_initialize = false;

  constexpr PoolLimits() noexcept = default;
  explicit PoolLimits(PoolConfig const& config) noexcept
      : capacity(config.capacity), max_capacity(config.max_capacity), growth_strategy(config.growth_strategy),
        alignment(config.alignment), pre_initialize(config.pre_initialize) {}
  [[nodiscard]] PoolConfig named(std::string_view name) const noexcept {
    return {capacity, max_capacity, growth_strategy, alignment, pre_initialize, name};
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI
