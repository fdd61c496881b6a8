// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads trace files (format.hpp) that may hold anything. A Trace is checked as a whole when it is opened, so that
// walking its events cannot fail: sizes and alignments are possible ones, each object that dies was alive, counts and
// checksum are right. Memory in use is bounded by the size of the file, and that by max_event_bytes.
#pragma once

#include "format.hpp"

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace fastalloc::trace {

// what(): the file, the offset, what was found there, and what to do.
class TraceError : public std::runtime_error {
 public:
  TraceError(std::string const& file, std::uint64_t offset, std::string const& found);
  TraceError(std::string const& file, std::string const& found);  // the file as such

  // In bytes from the start of the file.
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::uint64_t offset_ = 0;
};

struct Event {
  Kind kind;                    // never Kind::thread
  std::uint8_t alignment_log2;  // allocate_aligned
  std::uint32_t thread;
  std::uint64_t size;    // bytes; free: 0
  std::uint64_t object;  // the new one; free: the one that dies
  std::uint64_t old;     // reallocate: the one that dies
};

// Walks over the bytes of the events. Throws TraceError at the first byte that no recorder writes there.
class EventCursor {
 public:
  EventCursor(std::string const& file, std::span<std::uint8_t const> events) noexcept : file_(file), bytes_(events) {}

  bool next(Event& event);                                                         // false at the end
  std::uint64_t offset() const noexcept { return sizeof(Header) + event_start_; }  // in the file, of the last event
  std::uint64_t objects() const noexcept { return objects_; }
  std::uint64_t threads() const noexcept { return threads_; }

 private:
  std::uint8_t byte();
  std::uint64_t number(std::uint64_t low_bits, unsigned shift, bool more);
  std::uint64_t extra() { return number(0, 0, true); }
  std::uint64_t object_at(std::uint64_t distance) const;
  [[noreturn]] void fail(std::string const& found) const;

  std::string const& file_;
  std::span<std::uint8_t const> bytes_;
  std::size_t position_ = 0;
  std::size_t event_start_ = 0;
  std::uint64_t objects_ = 0;
  std::uint64_t threads_ = 1;
  std::uint32_t thread_ = 0;
};

class Trace {
 public:
  // Throws TraceError.
  explicit Trace(std::string const& path);
  // The same for the bytes of a file in memory; `name` is for messages.
  Trace(std::string name, std::vector<std::uint8_t> bytes);

  std::string const& file() const noexcept { return file_; }
  std::string const& program() const noexcept { return program_; }
  std::uint32_t pid() const noexcept { return pid_; }
  Ending ending() const noexcept { return ending_; }
  std::uint64_t event_bytes() const noexcept { return event_bytes_; }
  std::uint64_t events() const noexcept { return events_; }
  std::uint64_t objects() const noexcept { return objects_; }
  std::uint64_t threads() const noexcept { return threads_; }

  EventCursor cursor() const noexcept { return {file_, event_span()}; }

 private:
  std::span<std::uint8_t const> event_span() const noexcept {
    return std::span(bytes_).subspan(sizeof(Header), static_cast<std::size_t>(event_bytes_));
  }
  void read_header();
  void check_length() const;
  void check_events();
  void check_totals() const;
  template <class Integer> Integer field(std::size_t offset) const noexcept;

  std::string file_;
  std::vector<std::uint8_t> bytes_;
  std::string program_;
  std::uint32_t pid_ = 0;
  Ending ending_ = Ending::none;
  std::uint64_t event_bytes_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t objects_ = 0;
  std::uint64_t threads_ = 0;
};

}  // namespace fastalloc::trace
