// SPDX-License-Identifier: MIT OR Apache-2.0
// The checks of reader.hpp, from the outside in: the file, its header, its length, each event, the totals. Structure
// comes before the checksum, because it can say where the damage lies.
#include "reader.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace fastalloc::trace {
namespace {

constexpr char damaged[] = "; the file is damaged: copy it again or record anew";

std::string hex(std::uint8_t byte) {
  constexpr char digits[] = "0123456789abcdef";
  return {'0', 'x', digits[byte >> 4], digits[byte & 15]};
}

// What strangers put into the header must not reach a terminal as it is.
std::string printable(std::span<std::uint8_t const> text) {
  std::string result;
  for (std::uint8_t const c : text) {
    if (c == 0) {
      break;
    }
    result += std::isprint(c) != 0 ? static_cast<char>(c) : '?';
  }
  return result;
}

std::vector<std::uint8_t> read_file(std::string const& path) {
  std::error_code error;
  auto const status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw TraceError(path, "there is no such file; record one with libfastalloc-record.so");
  }
  if (status.type() != std::filesystem::file_type::regular) {
    throw TraceError(path, error ? error.message() : "this is a folder or a device; name a trace file");
  }
  std::uint64_t const size = std::filesystem::file_size(path, error);
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream) {
    throw TraceError(path, std::string("cannot be opened (") + std::strerror(errno) + "); make it readable");
  }
  // A file may be longer than its events by what its recorder has reserved.
  if (size > sizeof(Header) + max_event_bytes + (std::uint64_t{2} << 20)) {
    throw TraceError(path, "has " + std::to_string(size) + " bytes, more than any recorder writes; record anew");
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return bytes;
}

}  // namespace

TraceError::TraceError(std::string const& file, std::uint64_t offset, std::string const& found)
    : std::runtime_error(file + ": byte " + std::to_string(offset) + ": " + found), offset_(offset) {}
TraceError::TraceError(std::string const& file, std::string const& found) : std::runtime_error(file + ": " + found) {}

// ---- EventCursor

void EventCursor::fail(std::string const& found) const { throw TraceError(file_, offset(), found + damaged); }

std::uint8_t EventCursor::byte() {
  if (position_ == bytes_.size()) {
    fail("the last event ends in its middle");
  }
  return bytes_[position_++];
}

std::uint64_t EventCursor::number(std::uint64_t value, unsigned shift, bool more) {
  for (; more; shift += 7) {
    std::uint8_t const next = byte();
    std::uint64_t const bits = next & 127U;
    if (shift > 63 || (bits << shift) >> shift != bits) {
      fail("a number with more than 64 bits");
    }
    value |= bits << shift;
    more = (next & 128U) != 0;
  }
  return value;
}

std::uint64_t EventCursor::object_at(std::uint64_t distance) const {
  if (distance >= objects_) {
    fail("names the object " + std::to_string(distance) + " before the newest, of only " + std::to_string(objects_) +
         " objects so far");
  }
  return objects_ - 1 - distance;
}

bool EventCursor::next(Event& event) {
  for (;;) {
    event_start_ = position_;
    if (position_ == bytes_.size()) {
      return false;
    }
    std::uint8_t const first = byte();
    std::uint64_t const value = number(first >> 4U, 4, (first & 8U) != 0);
    event = {static_cast<Kind>(first & 7U), 0, thread_, 0, objects_, 0};
    switch (event.kind) {
      case Kind::thread:
        if (value > threads_) {
          fail("thread " + std::to_string(value) + " before thread " + std::to_string(threads_));
        }
        threads_ += value == threads_ ? 1U : 0U;
        thread_ = static_cast<std::uint32_t>(value);
        continue;
      case Kind::free: event.object = object_at(value); return true;
      case Kind::allocate:
      case Kind::allocate_zeroed: break;
      case Kind::allocate_aligned:
        if (std::uint64_t const log2 = extra(); log2 <= max_alignment_log2) {
          event.alignment_log2 = static_cast<std::uint8_t>(log2);
        } else {
          fail("an alignment of 2 to the power of " + std::to_string(log2));
        }
        break;
      case Kind::reallocate: event.old = object_at(extra()); break;
      default: fail("found " + hex(first) + ", which starts no event");
    }
    if (value > max_object_size) {
      fail("an object of " + std::to_string(value) + " bytes");
    }
    event.size = value;
    ++objects_;
    return true;
  }
}

// ---- Trace

Trace::Trace(std::string const& path) : Trace(path, read_file(path)) {}

Trace::Trace(std::string name, std::vector<std::uint8_t> bytes) : file_(std::move(name)), bytes_(std::move(bytes)) {
  read_header();
  check_length();
  check_events();
}

template <class Integer> Integer Trace::field(std::size_t offset) const noexcept {
  Integer value = 0;
  for (std::size_t i = 0; i != sizeof(Integer); ++i) {
    value |= static_cast<Integer>(static_cast<Integer>(bytes_[offset + i]) << (8 * i));
  }
  return value;
}

void Trace::read_header() {
  if (bytes_.empty()) {
    throw TraceError(file_, 0, "the file is empty; record anew");
  }
  std::size_t const start = std::min(bytes_.size(), sizeof(magic));
  if (std::memcmp(bytes_.data(), magic, start) != 0) {
    throw TraceError(file_, 0,
                     "this is no fastalloc trace: found \"" + printable(std::span(bytes_).first(start)) +
                         "\" where its mark should be; name a file that libfastalloc-record.so wrote");
  }
  if (bytes_.size() < sizeof(Header)) {
    throw TraceError(file_, bytes_.size(), "the file ends within its header of 64 bytes; copy it again or record anew");
  }
  if (auto const found = field<std::uint32_t>(offsetof(Header, version)); found != version) {
    throw TraceError(file_, offsetof(Header, version),
                     "format version " + std::to_string(found) + ", but this program reads version " +
                         std::to_string(version) + "; record anew with the recorder of this version");
  }
  auto const ending = field<std::uint32_t>(offsetof(Header, ending));
  if (ending > static_cast<std::uint32_t>(Ending::stopped)) {
    throw TraceError(file_, offsetof(Header, ending),
                     "found the ending " + std::to_string(ending) + " where 0, 1 or 2 is possible; record anew");
  }
  ending_ = static_cast<Ending>(ending);
  event_bytes_ = field<std::uint64_t>(offsetof(Header, bytes));
  pid_ = field<std::uint32_t>(offsetof(Header, pid));
  program_ = printable(std::span(bytes_).subspan(offsetof(Header, program), sizeof(Header::program)));
}

void Trace::check_length() const {
  if (event_bytes_ > max_event_bytes) {
    throw TraceError(file_, offsetof(Header, bytes),
                     "announces " + std::to_string(event_bytes_) + " bytes of events, more than the limit of " +
                         std::to_string(max_event_bytes) + damaged);
  }
  std::uint64_t const end = sizeof(Header) + event_bytes_;
  if (bytes_.size() < end) {
    throw TraceError(file_, bytes_.size(),
                     "the file is cut off here: its events reach to byte " + std::to_string(end) +
                         "; copy it again or record anew");
  }
  // The part of its file that the recorder had reserved, unwritten, may follow.
  auto const tail = std::span(bytes_).subspan(static_cast<std::size_t>(end));
  auto const extra = std::find_if(tail.begin(), tail.end(), [](std::uint8_t byte) { return byte != 0; });
  if (extra != tail.end()) {
    throw TraceError(file_, end + static_cast<std::uint64_t>(extra - tail.begin()),
                     "found " + hex(*extra) + " after the last event" + damaged);
  }
}

void Trace::check_events() {
  EventCursor walk = cursor();
  std::vector<bool> alive;
  auto const die = [&](std::uint64_t object) {
    if (!alive[static_cast<std::size_t>(object)]) {
      throw TraceError(file_, walk.offset(),
                       "frees object " + std::to_string(object) + ", which was freed before" + damaged);
    }
    alive[static_cast<std::size_t>(object)] = false;
  };
  Event event;
  while (walk.next(event)) {
    ++events_;
    if (event.kind == Kind::free) {
      die(event.object);
      continue;
    }
    if (event.kind == Kind::reallocate) {
      die(event.old);
    }
    alive.push_back(true);
  }
  objects_ = walk.objects();
  threads_ = walk.threads();
  check_totals();
}

void Trace::check_totals() const {
  if (ending_ == Ending::none) {
    return;
  }
  if (auto const announced = field<std::uint64_t>(offsetof(Header, events)); announced != events_) {
    throw TraceError(file_, offsetof(Header, events),
                     "announces " + std::to_string(announced) + " events, but the file holds " +
                         std::to_string(events_) + damaged);
  }
  std::uint64_t sum = checksum_start;
  for (std::uint8_t const byte : event_span()) {
    sum = checksum_add(sum, byte);
  }
  if (sum != field<std::uint64_t>(offsetof(Header, checksum))) {
    throw TraceError(file_, offsetof(Header, checksum),
                     "the checksum does not fit the events in the bytes from " + std::to_string(sizeof(Header)) +
                         " to " + std::to_string(sizeof(Header) + event_bytes_) + damaged);
  }
}

}  // namespace fastalloc::trace
