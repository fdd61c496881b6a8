// SPDX-License-Identifier: MIT OR Apache-2.0
// Errors, and the three ways to get them:
//   throwing functions   throw PoolExhausted, MaxCapacityExceeded, AllocationFailed or InvalidConfiguration;
//   try_ functions       return an empty handle, or a Result<T> that holds the Error;
//   the error handler    is called where nothing can be thrown: in destructors, and everywhere without exceptions.
// All throws go through the cold functions at the end of this file, so call sites stay small.
#pragma once

#include <fastalloc/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#if __STDC_HOSTED__
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#endif

namespace fastalloc {

inline namespace FASTALLOC_STATE {

enum class ErrorCode : std::uint8_t {
  pool_exhausted,         ///< every slot is in use and the pool does not grow
  invalid_configuration,  ///< a value of PoolConfig, or a buffer, is unusable
  invalid_alignment,      ///< an alignment is not a power of two, or memory is misaligned
  max_capacity_exceeded,  ///< growth stopped at PoolConfig::max_capacity
  invalid_handle,         ///< a pointer is not, or no longer, one that the pool handed out
  double_free,            ///< a slot was returned twice
  allocation_failed,      ///< the storage policy had no memory
  live_handles,           ///< a pool was destroyed while handles to its objects existed
  slot_taken,             ///< allocate_at() or build() named a slot in use
  invalid_data,           ///< load() was given bytes that are not this pool's state
};

}  // namespace FASTALLOC_STATE

namespace detail::inline FASTALLOC_STATE {

inline constexpr ErrorCode no_error{0xFF};  ///< for successes reported as an Error

/// The spelling of T, taken from the compiler; needs no RTTI.
template <class T> constexpr std::string_view spelling_of() noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
  constexpr std::string_view text = __FUNCSIG__;
  constexpr auto begin = text.find("spelling_of<") + 12;
  constexpr auto end = text.rfind(">(");
#else
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr auto begin = text.find("T = ") + 4;
  constexpr auto end = text.find_first_of(";]", begin);
#endif
  return text.substr(begin, end - begin);
}
/// Only the name: keeps the rest of the function's signature out of the binary.
template <class T> struct Spelling {
  static constexpr std::size_t length = spelling_of<T>().size();
  FASTALLOC_LOCAL static constexpr struct Text {
    char characters[length];
  } text = [] {
    constexpr std::string_view name = spelling_of<T>();  // once: compilers bound the steps of a constant
    Text result{};
    for (std::size_t i = 0; i != length; ++i) result.characters[i] = name[i];
    return result;
  }();
};
template <class T> constexpr std::string_view type_name() noexcept {
  return {Spelling<T>::text.characters, Spelling<T>::length};
}

}  // namespace detail::inline FASTALLOC_STATE

inline namespace FASTALLOC_STATE {

/// The name of an error code, as spelt in the enumeration.
constexpr char const* name(ErrorCode code) noexcept {
  if (code == detail::no_error) return "no error";
  constexpr char const* names[] = {"pool_exhausted",        "invalid_configuration", "invalid_alignment",
                                   "max_capacity_exceeded", "invalid_handle",        "double_free",
                                   "allocation_failed",     "live_handles",          "slot_taken",
                                   "invalid_data"};
  return static_cast<std::size_t>(code) < std::size(names) ? names[static_cast<std::size_t>(code)] : "unknown error";
}

/// An error and the values that caused it. Copying never throws.
struct Error {
  static constexpr std::size_t max_indices = 8;

  ErrorCode code = ErrorCode::invalid_configuration;
  std::size_t capacity = 0;               ///< slots, actual or requested
  std::size_t allocated = 0;              ///< slots in use
  std::size_t requested = 0;              ///< in `unit`
  std::size_t limit = 0;                  ///< in `unit`
  char const* text = "";                  ///< a string constant: the error and its remedy
  char const* unit = "slots";             ///< of requested and limit
  double factor = 0;                      ///< of a growth strategy
  bool has_factor = false;                ///< factor is meaningful
  void const* address = nullptr;          ///< the rejected pointer
  std::string_view type_name = {};        ///< of the objects in the pool
  std::string_view pool_name = {};        ///< PoolConfig::name; valid while the pool lives (that of PoolConfig before)
  std::size_t indices[max_indices] = {};  ///< of the first live slots (live_handles), or of the slot
  std::size_t index_count = 0;

  /// The error and its remedy, without the values. Never null.
  [[nodiscard]] constexpr char const* message() const noexcept { return text; }

#if __STDC_HOSTED__
  /// Writes to_string() into a buffer, cut to `size - 1` characters and null-terminated. Returns: characters written.
  std::size_t format(char* buffer, std::size_t size) const noexcept;

  /// The message, followed by every value that applies.
  [[nodiscard]] std::string to_string() const {
    char buffer[768];
    return std::string(buffer, format(buffer, sizeof buffer));
  }
#endif
};

#if __STDC_HOSTED__
inline std::size_t Error::format(char* buffer, std::size_t size) const noexcept {
  std::size_t used = 0;
  auto const put = [&](char const* format, auto... values) {
    int const wanted = std::snprintf(buffer + used, size - used, format, values...);
    if (wanted > 0)
      used += static_cast<std::size_t>(wanted) < size - used ? static_cast<std::size_t>(wanted) : size - used - 1;
  };
  if (size == 0) return 0;
  put("fastalloc: %s: %s", name(code), text);
  std::size_t const begin = used;
  auto const separator = [&] { return used == begin ? " (" : ", "; };
  if (!pool_name.empty()) put("%spool %.*s", separator(), static_cast<int>(pool_name.size()), pool_name.data());
  if (!type_name.empty()) put("%stype %.*s", separator(), static_cast<int>(type_name.size()), type_name.data());
  if (capacity != 0) put("%scapacity %zu slots", separator(), capacity);
  if (allocated != 0) put("%sallocated %zu slots", separator(), allocated);
  if (requested != 0) put("%srequested %zu %s", separator(), requested, unit);
  if (limit != 0) put("%slimit %zu %s", separator(), limit, unit);
  if (has_factor) put("%sfactor %g", separator(), factor);
  if (address != nullptr) put("%saddress %p", separator(), address);
  for (std::size_t i = 0; i != index_count; ++i)
    put(i == 0 ? "%sindices %zu" : "%s%zu", i == 0 ? separator() : " ", indices[i]);
  if (code == ErrorCode::live_handles && index_count < allocated) put("%s", " ...");
  if (used != begin) put("%s", ")");
  return used;
}
#endif

/// Called where nothing can be thrown. It may abort, log, or return; each caller documents what follows a return.
/// Thread safety: any thread may call it at any time.
using ErrorHandler = void (*)(Error const&);

}  // namespace FASTALLOC_STATE

namespace detail::inline FASTALLOC_STATE {

// Null means default_error_handler, so the variable needs no dynamic initialisation.
FASTALLOC_ONE std::atomic<ErrorHandler> error_handler{nullptr};

#if __STDC_HOSTED__
/// A std::bad_alloc with an Error; what() is the formatted text and needs no heap.
template <class Tag> class BadAlloc : public std::bad_alloc {
 public:
  explicit BadAlloc(Error const& error) noexcept : error_(error) { error_.format(what_, sizeof what_); }
  [[nodiscard]] char const* what() const noexcept override { return what_; }
  [[nodiscard]] Error const& error() const noexcept { return error_; }

 private:
  Error error_;
  char what_[512];
};
#endif

}  // namespace detail::inline FASTALLOC_STATE

namespace detail::inline FASTALLOC_ABI {

/// Prints the error and ends the program.
[[noreturn]] FASTALLOC_COLD inline void default_error_handler(Error const& error) {
#if __STDC_HOSTED__
  char buffer[768];
  error.format(buffer, sizeof buffer);
  std::fputs(buffer, stderr);
  std::fputc('\n', stderr);
  std::abort();
#else
  (void)error;
  for (;;) FASTALLOC_TRAP();
#endif
}

/// Calls the error handler; returns if it does.
FASTALLOC_COLD inline void report(Error const& error) {
  // acquire: pairs with the release in set_error_handler(); the handler sees everything written before it was set.
  if (ErrorHandler const handler = error_handler.load(std::memory_order_acquire)) handler(error);
  else default_error_handler(error);
}

}  // namespace detail::inline FASTALLOC_ABI

inline namespace FASTALLOC_STATE {

/// Effects: installs `handler` for errors that cannot be thrown; null restores the default, which prints to stderr and
/// aborts. Returns: the previous handler (null for the default). Thread safety: safe. On a processor without atomic
/// exchange (Cortex-M0) two concurrent calls may return the same handler: do not call it from interrupt handlers.
inline ErrorHandler set_error_handler(ErrorHandler handler) noexcept {
  if constexpr (!std::atomic<ErrorHandler>::is_always_lock_free) {
    ErrorHandler const previous = detail::error_handler.load(std::memory_order_acquire);  // as below
    detail::error_handler.store(handler, std::memory_order_release);                      // as below
    return previous;
  } else {
    // acq_rel: publishes the new handler's data, and acquires the previous handler's.
    return detail::error_handler.exchange(handler, std::memory_order_acq_rel);
  }
}

#if __STDC_HOSTED__
/// Every slot is in use and the pool does not grow.
class PoolExhausted : public detail::BadAlloc<PoolExhausted> {
  using BadAlloc::BadAlloc;
};
/// Growth stopped at PoolConfig::max_capacity.
class MaxCapacityExceeded : public detail::BadAlloc<MaxCapacityExceeded> {
  using BadAlloc::BadAlloc;
};
/// The storage policy had no memory.
class AllocationFailed : public detail::BadAlloc<AllocationFailed> {
  using BadAlloc::BadAlloc;
};
/// A configuration, buffer, pointer, index or key is unusable; error().code says which.
class InvalidConfiguration : public std::invalid_argument {
 public:
  explicit InvalidConfiguration(Error const& error) : std::invalid_argument(error.to_string()), error_(error) {}
  [[nodiscard]] Error const& error() const noexcept { return error_; }

 private:
  Error error_;
};
#endif

}  // namespace FASTALLOC_STATE

namespace detail::inline FASTALLOC_ABI {

/// Throws the exception for the error's code; without exceptions calls the error handler and ends the program.
[[noreturn]] FASTALLOC_COLD inline void fail(Error const& error) {
#if FASTALLOC_EXCEPTIONS && __STDC_HOSTED__
  switch (error.code) {
    case ErrorCode::pool_exhausted: throw PoolExhausted(error);
    case ErrorCode::max_capacity_exceeded: throw MaxCapacityExceeded(error);
    case ErrorCode::allocation_failed: throw AllocationFailed(error);
    default: throw InvalidConfiguration(error);
  }
#else
  report(error);
  default_error_handler(error);
#endif
}

/// The error of a noexcept function whose by-value arguments throw on copy.
FASTALLOC_COLD inline Error value_threw() noexcept {
  return {.code = ErrorCode::allocation_failed,
          .text = "the copy (or move) of a policy that was passed by value threw; let it not throw, or keep what may "
                  "throw behind a pointer"};
}

}  // namespace detail::inline FASTALLOC_ABI

inline namespace FASTALLOC_ABI {

/// Either a T or an Error. T need not be movable: the value is built in place.
template <class T> class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) requires std::is_move_constructible_v<T> : value_(std::move(value)) {}
  Result(Error const& error) noexcept : error_(error) {}

  /// Constructs the T from a std::optional<Error>& and `args`. If the optional then holds an Error, whatever its text,
  /// destroys the T again. Never throws: a throwing copy of `args` becomes the error.
  template <class... Args> explicit Result(std::in_place_t, Args&&... args) noexcept {
    std::optional<Error> failure;
    FASTALLOC_TRY { value_.emplace(failure, std::forward<Args>(args)...); }
    FASTALLOC_CATCH_ALL { failure = detail::value_threw(); }
    if (failure) value_.reset(), error_ = *failure;
  }

  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Throws: the exception for error() if there is none.
  [[nodiscard]] T& value() & { return require_value(), *value_; }
  [[nodiscard]] T const& value() const& { return require_value(), *value_; }
  [[nodiscard]] T&& value() && { return require_value(), *std::move(value_); }

  /// The value. Requires: has_value().
  [[nodiscard]] T& operator*() & noexcept { return *value_; }
  [[nodiscard]] T const& operator*() const& noexcept { return *value_; }
  [[nodiscard]] T&& operator*() && noexcept { return *std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return value_.operator->(); }
  [[nodiscard]] T const* operator->() const noexcept { return value_.operator->(); }

  /// The error. Requires: !has_value().
  [[nodiscard]] Error const& error() const noexcept { return error_; }

 private:
  void require_value() const {
    if (!has_value()) detail::fail(error_);
  }

  Error error_{};
  std::optional<T> value_;
};

/// Nothing, or an Error.
template <> class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() noexcept = default;
  Result(Error const& error) noexcept : error_(error) {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (error_) detail::fail(*error_);
  }
  [[nodiscard]] Error const& error() const noexcept { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace FASTALLOC_ABI
}  // namespace fastalloc
