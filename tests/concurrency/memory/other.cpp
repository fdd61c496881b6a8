// SPDX-License-Identifier: MIT OR Apache-2.0
// The other program: it gets the number of an open file, its bytes, and the address at which the first one mapped it.
#include "concurrency/memory/trade.hpp"

int main(int, char** arguments) {
  auto const number = [&](int i) { return std::strtoull(arguments[i], nullptr, 10); };
  auto const address = static_cast<std::uintptr_t>(number(3));
  test::Mapping const first(static_cast<int>(number(1)), number(2));
  // where the first is by chance where it is there, too
  test::Mapping const second(static_cast<int>(number(1)), number(2));
  if (!first || !second) return 2;
  test::Mapping const& mapping = reinterpret_cast<std::uintptr_t>(first.data()) == address ? second : first;
  auto& front = mapping.front<test::Front>();
  auto pool = test::TradedPool::try_create(fastalloc::ExternalStorage::attach(mapping.pool()));
  if (!pool) {
    std::fprintf(stderr, "%s\n", pool.error().to_string().c_str());
    return 3;
  }
  return test::trade(*pool, front.back, front.there, number(4)) ? 0 : 4;
}
