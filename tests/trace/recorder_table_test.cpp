// SPDX-License-Identifier: MIT OR Apache-2.0
// The recorder's table of addresses against std::unordered_map, with addresses that crowd together and with many.
#include <recorder_table.hpp>

#include <support/catch.hpp>

#include <random>
#include <unordered_map>

using fastalloc::trace::AddressTable;

namespace {

void const* address(std::uintptr_t number) { return reinterpret_cast<void const*>(number); }

void compare(std::uintptr_t addresses, std::uintptr_t stride, int steps) {
  AddressTable table{};
  std::unordered_map<std::uintptr_t, std::uint64_t> model;
  std::mt19937_64 random(addresses);
  int mistakes = 0;
  for (int i = 0; i != steps; ++i) {
    std::uintptr_t const a = 4096 + stride * (random() % addresses);
    std::uint64_t object = 0;
    auto const known = model.find(a);
    bool const is_known = known != model.end();
    if (random() % 3 == 0 || is_known) {
      bool const taken = table.take(address(a), object);
      mistakes += taken != is_known || (taken && object != known->second) ? 1 : 0;
      model.erase(a);
    } else {
      mistakes += table.insert(address(a), static_cast<std::uint64_t>(i)) ? 0 : 1;
      model[a] = static_cast<std::uint64_t>(i);
    }
  }
  for (auto const& [a, expected] : model) {
    std::uint64_t object = 0;
    mistakes += table.take(address(a), object) && object == expected ? 0 : 1;
  }
  CHECK(mistakes == 0);
}

}  // namespace

TEST_CASE("the table of addresses agrees with a map") {
  compare(50, 16, 20'000);
  compare(5'000, 1, 200'000);  // sixteen addresses share each home
  compare(100'000, 16, 600'000);
  compare(100'000, 4096, 600'000);
  compare(300, std::uintptr_t{1} << 40, 50'000);
}
