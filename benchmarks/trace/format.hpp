// SPDX-License-Identifier: MIT OR Apache-2.0
// The file that the recorder writes and the reader reads: a header of 64 bytes, then one event after the other.
//
// An object is known by its number: the first allocation of the file makes object 0, the next one object 1, and so on;
// no number is used twice. Events name an object by its distance from the newest one, because most objects die young:
// the last object has distance 0. The first byte of an event holds its kind and the start of its number:
//
//   bit  7 6 5 4      3             2 1 0      then, while "more" is set, 7 bits a byte, the lowest bits first,
//        lowest bits  more follow?  kind       bit 7 of each byte saying whether more follow
//
//   kind               number              after it
//   allocate           size in bytes
//   allocate_zeroed    size in bytes
//   allocate_aligned   size in bytes       log2 of the alignment
//   reallocate         new size in bytes   distance of the old object, which dies; the result is a new object
//   free               distance
//   thread             number of the thread of the next events; the first is 0, a new one is the next integer
//
// The extra numbers have 7 bits a byte from their first byte on. No event starts with a byte of 0: that is what an
// unwritten tail holds. The order of events is the order in which the calls took effect, across all threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastalloc::trace {

enum class Kind : std::uint8_t { allocate = 1, allocate_zeroed, allocate_aligned, reallocate, free, thread };

// How far the recorder came. Whatever happens to the program, the first `bytes` of the events are whole and in place.
enum class Ending : std::uint32_t {
  none = 0,     // killed, replaced by exec, or still running
  regular = 1,  // the program ended and nothing followed; events and checksum are valid
  stopped = 2,  // the recorder gave up early (disk full, or limit reached); events and checksum are valid
};

// All numbers are little-endian.
struct Header {
  char magic[8];
  std::uint32_t version;
  Ending ending;
  std::uint64_t bytes;     // of events, after the header
  std::uint64_t events;    // calls: thread switches are not counted
  std::uint64_t checksum;  // FNV-1a of these bytes
  std::uint32_t pid;
  char program[20];  // its name, cut short, filled up with zeros
};
static_assert(sizeof(Header) == 64);

// The first byte is no text and the line ends are there to be damaged by a transfer in text mode.
inline constexpr char magic[8] = {'\x8f', 'F', 'A', 'T', '\r', '\n', '\x1a', '\n'};
inline constexpr std::uint32_t version = 1;

// The recorder stops here, and the reader refuses what is longer, so that a replay fits into memory.
inline constexpr std::uint64_t max_event_bytes = std::uint64_t{128} << 20;
inline constexpr std::uint64_t max_object_size = std::uint64_t{1} << 47;
inline constexpr std::uint64_t max_alignment_log2 = 40;

inline constexpr std::uint64_t checksum_start = 0xcbf29ce484222325;
constexpr std::uint64_t checksum_add(std::uint64_t sum, std::uint8_t byte) noexcept {
  return (sum ^ byte) * 0x100000001b3;
}

// Writes one event into a buffer. A thread switch and an event after it fit in together.
struct Encoder {
  std::uint8_t bytes[48];
  std::size_t size = 0;

  constexpr void head(Kind kind, std::uint64_t number) noexcept {
    bytes[size++] =
        static_cast<std::uint8_t>((number & 15) << 4 | (number > 15 ? 8U : 0U) | static_cast<unsigned>(kind));
    if (number > 15) {
      extra(number >> 4);
    }
  }
  constexpr void extra(std::uint64_t number) noexcept {
    for (; number > 127; number >>= 7) {
      bytes[size++] = static_cast<std::uint8_t>(number | 128);
    }
    bytes[size++] = static_cast<std::uint8_t>(number);
  }
};

}  // namespace fastalloc::trace
