// SPDX-License-Identifier: MIT OR Apache-2.0
#include <vector>

#include "support/catch.hpp"
#include "traps/odr/item.hpp"

TEST_CASE("trap: ODR by macro: each file keeps its own mode") {
  CHECK(checked_file.checked);
  CHECK_FALSE(unchecked_file.checked);
  CHECK_FALSE(ndebug_file.checked);
  CHECK(checked_file.release_twice());
  CHECK_FALSE(unchecked_file.release_twice());
}

TEST_CASE("trap: ODR by macro: erased handles travel between the files") {
  File const* const files[] = {&checked_file, &unchecked_file, &ndebug_file};
  for (File const* from : files)
    for (File const* to : files) {
      std::vector<fastalloc::Handle<Item>> handles;
      for (std::uint64_t i = 0; i != 20; ++i) handles.push_back(from->allocate(i));
      CHECK(from->allocated() == 20);
      CHECK(Item::live == 20);
      for (std::uint64_t i = 0; i != 20; ++i) CHECK(to->consume(std::move(handles[i])) == i);
      CHECK(from->allocated() == 0);
      CHECK(Item::live == 0);
    }
}

TEST_CASE("trap: ODR by macro: exceptions thrown in one file are caught in another") {
  File const* const files[] = {&checked_file, &unchecked_file, &ndebug_file};
  for (File const* from : files)
    for (File const* to : files) CHECK(to->catches(from->overflow));
  CHECK(Item::live == 0);
}
