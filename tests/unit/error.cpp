// SPDX-License-Identifier: MIT OR Apache-2.0
// Error, its text, Result, the exceptions and the error handler.
#include <fastalloc/error.hpp>

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("error: each code has a name of its own") {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::invalid_data); ++code)
    names.insert(name(static_cast<ErrorCode>(code)));
  CHECK(names.size() == 10);
  CHECK(names.count("double_free") == 1);
  CHECK(std::string(name(static_cast<ErrorCode>(200))) == "unknown error");
}

TEST_CASE("error: the name of a type may be long") {
  using A = std::pair<std::vector<std::string>, std::set<std::pair<std::string, std::vector<int>>>>;
  using B = std::pair<A, std::pair<A, A>>;
  using C = std::pair<B, std::pair<B, std::vector<B>>>;
  static_assert(detail::type_name<C>().size() > 800);  // compilers bound the steps that a constant may take
  CHECK(detail::type_name<C>().ends_with('>'));
}

TEST_CASE("error: to_string names the code, the text and every value that plays a part") {
  int const object = 0;
  Error error{.code = ErrorCode::live_handles,
              .capacity = 100,
              .allocated = 12,
              .requested = 4096,
              .limit = 2048,
              .text = "what is wrong; what to do",
              .unit = "bytes",
              .factor = -1.5,
              .has_factor = true,
              .address = &object,
              .type_name = "game::Ship"};
  error.indices[0] = 3;
  error.indices[1] = 99;
  error.index_count = 2;
  CHECK(std::string(error.message()) == "what is wrong; what to do");
  std::string const text = error.to_string();
  for (char const* part :
       {"live_handles", "what is wrong; what to do", "type game::Ship", "capacity 100 slots", "allocated 12 slots",
        "requested 4096 bytes", "limit 2048 bytes", "factor -1.5", "address 0x", "indices 3 99 ..."})
    CHECK_THAT(text, ContainsSubstring(part));
  CHECK(text.back() == ')');
}

TEST_CASE("error: values that play no part are left out") {
  CHECK((Error{.code = ErrorCode::pool_exhausted, .text = "full"}.to_string()) == "fastalloc: pool_exhausted: full");
}

TEST_CASE("error: factors are recognisable, whatever they are") {
  auto const factor = [](double value) { return Error{.text = "t", .factor = value, .has_factor = true}.to_string(); };
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK_THAT(factor(std::numeric_limits<double>::quiet_NaN()), ContainsSubstring("nan"));
  CHECK_THAT(factor(infinity), ContainsSubstring("factor inf"));
  CHECK_THAT(factor(-infinity), ContainsSubstring("factor -inf"));
  CHECK_THAT(factor(0), ContainsSubstring("factor 0"));
  CHECK_THAT(factor(0.9996), ContainsSubstring("factor 0.9996"));
  CHECK_THAT(factor(-2.25), ContainsSubstring("factor -2.25"));
  CHECK_THAT(factor(1e300), ContainsSubstring("factor 1e+300"));
}

TEST_CASE("error: format cuts at the end of the buffer and writes nothing behind it") {
  Error const error{.capacity = 7, .text = "a text that is longer than the buffer"};
  std::string const whole = error.to_string();
  for (std::size_t size = 0; size != 90; ++size) {
    char buffer[96];
    for (char& c : buffer) c = '#';
    std::size_t const written = error.format(buffer, size);
    if (size != 0) {
      CHECK(written == (whole.size() < size - 1 ? whole.size() : size - 1));
      CHECK(std::string(buffer) == whole.substr(0, size - 1));
    }
    CHECK(buffer[size] == '#');
  }
}

namespace {
struct Pinned {
  Pinned(std::optional<Error>& failure, int v) : value(v) {
    if (v < 0) failure = Error{.code = ErrorCode::invalid_alignment};  // it need not have a text
    ++live;
  }
  Pinned(Pinned const&) = delete;
  Pinned& operator=(Pinned const&) = delete;
  ~Pinned() { --live; }
  int value;
  static inline int live = 0;
};
}  // namespace

TEST_CASE("result: holds a value, also one that cannot be moved") {
  Result<Pinned> pinned(std::in_place, 5);
  REQUIRE(pinned.has_value());
  CHECK(static_cast<bool>(pinned));
  CHECK(pinned->value == 5);
  CHECK((*pinned).value == 5);
  CHECK(&pinned.value() == &*pinned);
  CHECK(std::as_const(pinned).value().value == 5);
  CHECK(Pinned::live == 1);
}

TEST_CASE("result: a constructor that reports an error leaves no value behind") {
  {
    Result<Pinned> const pinned(std::in_place, -1);
    CHECK_FALSE(pinned.has_value());
    CHECK(pinned.error().code == ErrorCode::invalid_alignment);
    CHECK(Pinned::live == 0);
  }
  CHECK(Pinned::live == 0);
}

TEST_CASE("result: moves its value out and along") {
  Result<std::unique_ptr<int>> first(std::make_unique<int>(4));
  Result<std::unique_ptr<int>> second(std::move(first));
  REQUIRE(second.has_value());
  std::unique_ptr<int> const value = std::move(second).value();
  CHECK(*value == 4);
  std::vector<Result<std::string>> results;  // on the heap: g++ 12 warns about members of a disengaged std::optional
  results.emplace_back(Error{.code = ErrorCode::double_free, .text = "no"});
  Result<std::string> const moved(std::move(results.front()));
  CHECK_FALSE(moved);
  CHECK(moved.error().code == ErrorCode::double_free);
}

TEST_CASE("result: of void") {
  Result<void> const good;
  CHECK(good.has_value());
  good.value();
  Result<void> const bad(Error{.text = "bad"});
  CHECK_FALSE(bad);
  CHECK(std::string(bad.error().message()) == "bad");
}

#if FASTALLOC_EXCEPTIONS
namespace {
template <class Exception> void check_thrown(ErrorCode code) {
  Result<int> const result(Error{.code = code, .requested = 9, .text = "text; remedy", .unit = "bytes"});
  try {
    (void)result.value();
    FAIL("nothing was thrown");
  } catch (Exception const& e) {
    CHECK(e.error().code == code);
    CHECK(e.error().requested == 9);
    CHECK(std::string(e.what()) == result.error().to_string());
  }
}
}  // namespace

TEST_CASE("error: each code throws the exception that belongs to it") {
  check_thrown<PoolExhausted>(ErrorCode::pool_exhausted);
  check_thrown<MaxCapacityExceeded>(ErrorCode::max_capacity_exceeded);
  check_thrown<AllocationFailed>(ErrorCode::allocation_failed);
  check_thrown<InvalidConfiguration>(ErrorCode::invalid_configuration);
  check_thrown<InvalidConfiguration>(ErrorCode::invalid_alignment);
  CHECK_THROWS_AS(Result<int>(Error{.code = ErrorCode::pool_exhausted}).value(), std::bad_alloc);
  CHECK_THROWS_AS(Result<int>(Error{}).value(), std::invalid_argument);
}
#endif

TEST_CASE("error handler: is exchanged and restored") {
  ErrorHandler const before = set_error_handler(nullptr);
  CHECK(before == nullptr);
  {
    test::RecordedErrors errors;
    detail::report(Error{.code = ErrorCode::invalid_handle, .text = "heard"});
    REQUIRE(errors.count() == 1);
    CHECK(std::string(errors[0].message()) == "heard");
  }
  CHECK(set_error_handler(nullptr) == nullptr);
}

TEST_CASE("error handler: the default one prints and aborts") {
  auto const ending = test::run_in_child(
      [] { detail::report(Error{.code = ErrorCode::double_free, .text = "twice", .type_name = "Ship"}); });
  CHECK(ending.aborted);
  CHECK(ending.errors == "fastalloc: double_free: twice (type Ship)\n");
}

TEST_CASE("without exceptions a failed value() calls the handler and ends the program, even where that returns") {
#if !FASTALLOC_EXCEPTIONS
  Result<int> const bad(Error{.code = ErrorCode::pool_exhausted, .text = "none left"});
  CHECK(test::run_in_child([&] { (void)bad.value(); }).aborted);
  auto const ending = test::run_in_child([&] {
    set_error_handler([](Error const& error) { std::fprintf(stderr, "handler: %s\n", error.message()); });
    (void)bad.value();
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("handler: none left"));
#else
  SUCCEED("exceptions are on: see 'each code throws'");
#endif
}

namespace outer {
struct Named {};
template <class T> struct Box {};
}  // namespace outer

TEST_CASE("type_name: is what the compiler calls the type") {
  CHECK(std::string(detail::type_name<int>()) == "int");
  CHECK(std::string(detail::type_name<outer::Named>()) == "outer::Named");
  CHECK(std::string(detail::type_name<outer::Box<outer::Named>>()) == "outer::Box<outer::Named>");
}
