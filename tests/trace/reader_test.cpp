// SPDX-License-Identifier: MIT OR Apache-2.0
// The reader: what it makes of good files, and what it says about bad ones. Each message names the file, the offset,
// what was found there, and what to do.
#include "support.hpp"

#include <support/catch.hpp>

#include <fstream>
#include <optional>

using namespace trace_test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::optional<TraceError> error_of(Bytes const& bytes) {
  try {
    Trace const trace("x.trace", bytes);
    return std::nullopt;
  } catch (TraceError const& error) {
    return error;
  }
}

void check_error(Bytes const& bytes, std::uint64_t offset, std::string const& found) {
  auto const error = error_of(bytes);
  REQUIRE(error);
  CAPTURE(error->what());
  CHECK(error->offset() == offset);
  CHECK_THAT(error->what(), Catch::Matchers::StartsWith("x.trace: byte " + std::to_string(offset) + ": "));
  CHECK_THAT(error->what(), ContainsSubstring(found));
  CHECK_THAT(error->what(), ContainsSubstring("record") || ContainsSubstring("copy it again"));
}

std::string error_of_file(fs::path const& path) {
  try {
    Trace const trace(path.string());
    return "no error";
  } catch (TraceError const& error) {
    return error.what();
  }
}

constexpr std::uint64_t first = sizeof(Header);

Bytes with(Bytes bytes, std::size_t offset, std::uint8_t value) {
  bytes.at(offset) = value;
  return bytes;
}

}  // namespace

TEST_CASE("a trace gives its events back") {
  Trace const trace("x.trace", Builder()
                                   .add(Kind::allocate, 15)
                                   .add(Kind::allocate, 16)
                                   .add(Kind::allocate_zeroed, 2047)
                                   .add(Kind::thread, 1)
                                   .add(Kind::allocate_aligned, 2048, 12)
                                   .add(Kind::reallocate, max_object_size, 3)
                                   .add(Kind::thread, 0)
                                   .add(Kind::free, 0)
                                   .add(Kind::allocate, 0)
                                   .finish());
  CHECK(trace.program() == "built");
  CHECK(trace.pid() == 42);
  CHECK(trace.ending() == Ending::regular);
  CHECK(trace.events() == 7);
  CHECK(trace.objects() == 6);
  CHECK(trace.threads() == 2);

  auto const events = all_events(trace);
  REQUIRE(events.size() == 7);
  auto const same = [&](std::size_t i, Kind kind, std::uint64_t size, std::uint64_t object, std::uint32_t thread) {
    CAPTURE(i);
    CHECK(events[i].kind == kind);
    CHECK(events[i].size == size);
    CHECK(events[i].object == object);
    CHECK(events[i].thread == thread);
  };
  same(0, Kind::allocate, 15, 0, 0);
  same(1, Kind::allocate, 16, 1, 0);
  same(2, Kind::allocate_zeroed, 2047, 2, 0);
  same(3, Kind::allocate_aligned, 2048, 3, 1);
  CHECK(events[3].alignment_log2 == 12);
  same(4, Kind::reallocate, max_object_size, 4, 1);
  CHECK(events[4].old == 0);
  same(5, Kind::free, 0, 4, 0);
  same(6, Kind::allocate, 0, 5, 0);
}

TEST_CASE("small numbers take one byte, and numbers below 2048 two") {
  for (auto const& [number, size] : {std::pair{0, 1}, {15, 1}, {16, 2}, {2047, 2}, {2048, 3}}) {
    CHECK(Builder().add(Kind::allocate, static_cast<std::uint64_t>(number)).size() - first ==
          static_cast<std::size_t>(size));
  }
}

TEST_CASE("a trace without events is a trace") { CHECK(Trace("x.trace", Builder().finish()).events() == 0); }

TEST_CASE("a program that was killed leaves a readable trace with an unwritten tail") {
  Bytes bytes = Builder().add(Kind::allocate, 100).add(Kind::free, 0).finish(Ending::none);
  bytes.resize(bytes.size() + 1000);
  store(bytes, offsetof(Header, events), std::uint64_t{0});
  store(bytes, offsetof(Header, checksum), std::uint64_t{0});
  Trace const trace("x.trace", bytes);
  CHECK(trace.ending() == Ending::none);
  CHECK(trace.events() == 2);
  check_error(with(bytes, bytes.size() - 1, 7), bytes.size() - 1, "found 0x07 after the last event");
}

TEST_CASE("files that are no traces") {
  check_error({}, 0, "the file is empty");
  Bytes const foreign = {'\x7f', 'E', 'L', 'F', 2, 1, 1, 0, 0, 0};
  check_error(foreign, 0, "no fastalloc trace: found \"?ELF???\"");
  check_error(Bytes(5000, 'a'), 0, "no fastalloc trace: found \"aaaaaaaa\"");
  Bytes const good = Builder().finish();
  check_error(Bytes(good.begin(), good.begin() + 3), 3, "ends within its header");
  check_error(Bytes(good.begin(), good.begin() + 63), 63, "ends within its header");
  check_error(with(good, 8, 9), 8, "format version 9");
  check_error(with(good, 12, 3), 12, "found the ending 3");
}

TEST_CASE("files that were cut off or lengthened") {
  Bytes const good = Builder().add(Kind::allocate, 100).add(Kind::allocate, 10000).add(Kind::free, 1).finish();
  for (std::size_t size = first; size != good.size(); ++size) {
    check_error(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), size, "cut off here");
  }
  Bytes longer = good;
  longer.push_back(1);
  check_error(longer, good.size(), "found 0x01 after the last event");
}

TEST_CASE("counts that cannot be") {
  Bytes bytes = Builder().add(Kind::allocate, 100).finish();
  store(bytes, offsetof(Header, bytes), ~std::uint64_t{0});
  check_error(bytes, offsetof(Header, bytes), "announces 18446744073709551615 bytes");
  store(bytes, offsetof(Header, bytes), max_event_bytes);
  check_error(bytes, bytes.size(), "cut off here");
  bytes = Builder().add(Kind::allocate, 100).finish();
  check_error(with(bytes, offsetof(Header, events), 2), offsetof(Header, events),
              "announces 2 events, but the file holds 1");
  check_error(with(bytes, offsetof(Header, checksum), 0), offsetof(Header, checksum), "checksum");
  check_error(with(bytes, first + 1, 5), offsetof(Header, checksum), "bytes from 64 to 66");
}

TEST_CASE("events that no recorder writes") {
  check_error(Builder().byte(0).finish(), first, "found 0x00, which starts no event");
  check_error(Builder().add(Kind::allocate, 1).byte(0x17).finish(), first + 1, "found 0x17, which starts no event");
  check_error(Builder().add(Kind::free, 0).finish(), first, "object 0 before the newest, of only 0 objects");
  check_error(Builder().add(Kind::allocate, 1).add(Kind::free, 77).finish(), first + 1, "object 77 before the newest");
  check_error(Builder().add(Kind::allocate, 1).add(Kind::free, 0).add(Kind::free, 0).finish(), first + 2,
              "frees object 0, which was freed before");
  check_error(Builder().add(Kind::allocate, 1).add(Kind::reallocate, 2, 0).add(Kind::free, 1).finish(), first + 3,
              "frees object 0, which was freed before");
  check_error(Builder().add(Kind::allocate, 1).add(Kind::free, 0).add(Kind::reallocate, 2, 0).finish(), first + 2,
              "frees object 0");
  check_error(Builder().add(Kind::thread, 2).finish(), first, "thread 2 before thread 1");
  check_error(Builder().add(Kind::allocate_aligned, 8, 64).finish(), first, "an alignment of 2 to the power of 64");
  check_error(Builder().add(Kind::allocate, max_object_size + 1).finish(), first, "an object of 140737488355329 bytes");
}

TEST_CASE("numbers that do not end, or not in 64 bits") {
  check_error(Builder().byte(0x09).finish(), first, "ends in its middle");
  check_error(Builder().byte(0x09).byte(0x80).finish(), first, "ends in its middle");
  check_error(Builder().add(Kind::allocate, 1).byte(0x13).finish(), first + 1, "ends in its middle");
  check_error(Builder().byte(0x03).finish(), first, "ends in its middle");
  Builder endless;
  endless.byte(0xf9);
  for (int i = 0; i != 1000; ++i) {
    endless.byte(0xff);
  }
  check_error(endless.finish(), first, "more than 64 bits");
  Builder overlong;  // nothing but zeros behind: the value is small, the form is not
  overlong.byte(0x09);
  for (int i = 0; i != 20; ++i) {
    overlong.byte(0x80);
  }
  check_error(overlong.byte(0).finish(), first, "more than 64 bits");
}

TEST_CASE("paths that lead to no trace") {
  CHECK_THAT(error_of_file("no/such.trace"), ContainsSubstring("no/such.trace: there is no such file"));
  CHECK_THAT(error_of_file("."), ContainsSubstring(".: this is a folder or a device"));
#if __has_include(<unistd.h>)
  CHECK_THAT(error_of_file("/dev/zero"), ContainsSubstring("/dev/zero: this is a folder or a device"));
  Folder const folder;
  std::ofstream(folder / "huge.trace").put('x');
  fs::resize_file(folder / "huge.trace", std::uintmax_t{1} << 40);
  CHECK_THAT(error_of_file(folder / "huge.trace"), ContainsSubstring("has 1099511627776 bytes"));
  save(folder / "secret.trace", Builder().finish());
  fs::permissions(folder / "secret.trace", fs::perms::none);
  if (geteuid() != 0) {  // root reads everything
    CHECK_THAT(error_of_file(folder / "secret.trace"), ContainsSubstring("make it readable"));
  }
  fs::create_symlink("loop.trace", folder / "loop.trace");
  CHECK_THAT(error_of_file(folder / "loop.trace"), ContainsSubstring("loop.trace: "));
#endif
}

TEST_CASE("the shipped trace is whole") {
  Trace const trace(SHIPPED_TRACE);
  CHECK(trace.ending() == Ending::regular);
  CHECK(trace.event_bytes() < 4 * trace.events());
  CHECK(fs::file_size(SHIPPED_TRACE) == sizeof(Header) + trace.event_bytes());
  CHECK(fs::file_size(SHIPPED_TRACE) <= 1024 * 1024);
}
