// SPDX-License-Identifier: MIT OR Apache-2.0
// The shipped trace, damaged at random some ten thousand times: the reader must answer with a trace or with an error
// that lies within the file. The sanitizers of the asan preset see what goes wrong beneath.
#include "support.hpp"

#include <script.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <random>

using namespace trace_test;

namespace {

// A small part of the trace, cut where events end, is as good as all of it and a hundred times faster.
Bytes beginning_of(Trace const& whole, std::size_t most, std::uint64_t& events) {
  Bytes file = load(SHIPPED_TRACE);
  EventCursor cursor = whole.cursor();
  events = 0;
  std::size_t end = sizeof(Header);
  for (Event event; cursor.next(event) && cursor.offset() < most; ++events) {
    end = static_cast<std::size_t>(cursor.offset());
  }
  --events;
  file.resize(end);
  seal(file, events);
  return file;
}

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }

  void mutate(Bytes& file) {
    std::size_t const place = below(file.size());
    auto const at = file.begin() + static_cast<std::ptrdiff_t>(place);
    switch (below(7)) {
      case 0: *at = static_cast<std::uint8_t>(*at ^ (1U << below(8))); break;
      case 1: *at = static_cast<std::uint8_t>(below(256)); break;
      case 2: *at = below(2) == 0 ? 0 : 0xff; break;
      case 3: file.resize(place + 1); break;
      case 4:
        file.erase(at, at + static_cast<std::ptrdiff_t>(1 + below(std::min<std::size_t>(file.size() - place, 16))));
        break;
      case 5: file.insert(at, 1 + below(16), static_cast<std::uint8_t>(below(256))); break;
      default:
        std::fill(at, at + static_cast<std::ptrdiff_t>(std::min<std::size_t>(file.size() - place, 12)),
                  std::uint8_t{0xff});
    }
    if (file.empty()) {
      file.push_back(0);
    }
  }

 private:
  std::mt19937 random_;
};

// Name and process id of the header may differ, and zeros may follow.
bool has_same_events(Bytes file, Bytes const& good) {
  while (file.size() > good.size() && file.back() == 0) {
    file.pop_back();
  }
  return file.size() == good.size() &&
         std::equal(file.begin() + sizeof(Header), file.end(), good.begin() + sizeof(Header));
}

struct Tally {
  int read = 0;
  int refused = 0;
};

void try_to_read(Bytes const& file, Tally& tally) {
  try {
    Trace const trace("x.trace", file);
    Script const script = make_script(trace);
    if (script.timed != trace.events()) {
      FAIL("a script of " << script.timed << " steps for " << trace.events() << " events");
    }
    ++tally.read;
  } catch (TraceError const& error) {
    if (error.offset() > file.size()) {
      FAIL("the error lies behind the end: " << error.what());
    }
    ++tally.refused;
  }
}

}  // namespace

TEST_CASE("no damaged file of a program that ended is taken for a whole one") {
  std::uint64_t events = 0;
  Bytes const good = beginning_of(Trace(SHIPPED_TRACE), 4000, events);
  Mutator mutator(1);
  Tally tally;
  for (int i = 0; i != 10'000; ++i) {
    Bytes file = good;
    mutator.mutate(file);
    bool const is_same = has_same_events(file, good);
    int const before = tally.read;
    try_to_read(file, tally);
    if (!is_same && tally.read != before) {
      FAIL("damage number " << i << " was not noticed");
    }
  }
  CHECK(tally.refused > 9'000);
}

TEST_CASE("events that are damaged under a right checksum never lead astray") {
  std::uint64_t events = 0;
  Bytes const good = beginning_of(Trace(SHIPPED_TRACE), 4000, events);
  Mutator mutator(2);
  Tally tally;
  for (int i = 0; i != 10'000; ++i) {
    Bytes file = good;
    for (std::size_t n = 1 + mutator.below(4); n != 0; --n) {
      mutator.mutate(file);
    }
    file.resize(std::max(file.size(), sizeof(Header)));
    std::copy_n(good.begin(), sizeof(Header), file.begin());
    seal(file, events, mutator.below(2) == 0 ? Ending::none : Ending::regular);
    try_to_read(file, tally);
  }
  CHECK(tally.read > 0);
  CHECK(tally.refused > 0);
}

TEST_CASE("random bytes behind a good header never lead astray") {
  std::uint64_t events = 0;
  Bytes const good = beginning_of(Trace(SHIPPED_TRACE), 100, events);
  Mutator mutator(3);
  Tally tally;
  for (int i = 0; i != 20'000; ++i) {
    Bytes file(good.begin(), good.begin() + sizeof(Header));
    for (std::size_t n = mutator.below(40); n != 0; --n) {
      file.push_back(static_cast<std::uint8_t>(mutator.below(256)));
    }
    seal(file, 0, Ending::none);
    try_to_read(file, tally);
  }
  CHECK(tally.read > 0);
  CHECK(tally.refused > 0);
}

TEST_CASE("the shipped trace, cut anywhere, is cut off there") {
  Bytes const good = load(SHIPPED_TRACE);
  Mutator mutator(4);
  for (int i = 0; i != 300; ++i) {
    Bytes const file(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(mutator.below(good.size())));
    Tally tally;
    try_to_read(file, tally);
    CHECK(tally.refused == 1);
  }
}
