// SPDX-License-Identifier: MIT OR Apache-2.0
// The recorder's memory of which object lives at which address: a hash table with linear probing, at most half full, in
// memory from mmap because the recorder must not call malloc. Zero bytes are an empty table: the page that holds it is
// wiped in a forked child, and the entries do not exist there.
//
// Invariant: walking on from an entry's home place, there is no empty place before the entry.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace fastalloc::trace {

class AddressTable {
 public:
  // Requires: the address is not in the table. False, with the table unchanged, when there is no memory.
  bool insert(void const* address, std::uint64_t object) noexcept {
    if (2 * (size_ + 1) > places_ && !grow()) {
      return false;
    }
    put({reinterpret_cast<std::uintptr_t>(address), object});
    ++size_;
    return true;
  }

  // Takes the entry out. False when there is none.
  bool take(void const* address, std::uint64_t& object) noexcept {
    if (size_ == 0) {
      return false;
    }
    auto const wanted = reinterpret_cast<std::uintptr_t>(address);
    std::size_t place = home(wanted);
    for (; entries_[place].address != wanted; place = next(place)) {
      if (entries_[place].address == 0) {
        return false;
      }
    }
    object = entries_[place].object;
    close_gap(place);
    --size_;
    return true;
  }

 private:
  struct Entry {
    std::uintptr_t address;  // 0: empty
    std::uint64_t object;
  };

  std::size_t next(std::size_t place) const noexcept { return (place + 1) & (places_ - 1); }
  std::size_t home(std::uintptr_t address) const noexcept {
    return static_cast<std::size_t>(((address >> 4) * 0x9e3779b97f4a7c15) >> 24) & (places_ - 1);
  }

  void put(Entry entry) noexcept {
    std::size_t place = home(entry.address);
    while (entries_[place].address != 0) {
      place = next(place);
    }
    entries_[place] = entry;
  }

  // Moves later entries back into the gap wherever it lies between their home and their place.
  void close_gap(std::size_t gap) noexcept {
    for (std::size_t place = next(gap); entries_[place].address != 0; place = next(place)) {
      std::size_t const from_home = (place - home(entries_[place].address)) & (places_ - 1);
      std::size_t const from_gap = (place - gap) & (places_ - 1);
      if (from_home >= from_gap) {
        entries_[gap] = entries_[place];
        gap = place;
      }
    }
    entries_[gap].address = 0;
  }

  bool grow() noexcept {
    std::size_t const places = places_ == 0 ? std::size_t{1} << 14 : 2 * places_;
    void* memory = mmap(nullptr, places * sizeof(Entry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return false;
    }
    madvise(memory, places * sizeof(Entry), MADV_DONTFORK);
    AddressTable old = *this;
    entries_ = static_cast<Entry*>(memory);
    places_ = places;
    for (std::size_t place = 0; place != old.places_; ++place) {
      if (old.entries_[place].address != 0) {
        put(old.entries_[place]);
      }
    }
    if (old.places_ != 0) {
      munmap(old.entries_, old.places_ * sizeof(Entry));
    }
    return true;
  }

  Entry* entries_;
  std::size_t places_;  // 0 or a power of two
  std::size_t size_;    // entries in use
};

}  // namespace fastalloc::trace
