// SPDX-License-Identifier: MIT OR Apache-2.0
// A stand-in for Tracy's header that writes down the calls. As in Tracy, memory may neither be allocated twice in one
// pool nor be freed without that, and a pool is known by the address of its name.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tracy_stub {

struct Calls {
  std::mutex mutex;
  std::map<std::pair<char const*, void const*>, std::size_t> live;
  std::vector<std::string> messages;
  std::size_t allocations = 0;
  std::size_t mistakes = 0;
};
inline Calls& calls() {
  static Calls all;
  return all;
}
inline void allocate(void const* p, std::size_t bytes, char const* name) {
  std::lock_guard const guard(calls().mutex);
  ++calls().allocations;
  if (!calls().live.emplace(std::pair(name, p), bytes).second) ++calls().mistakes;
}
inline void free(void const* p, char const* name) {
  std::lock_guard const guard(calls().mutex);
  if (calls().live.erase({name, p}) == 0) ++calls().mistakes;
}
inline void message(char const* text, std::size_t size) {
  std::lock_guard const guard(calls().mutex);
  calls().messages.emplace_back(text, size);
}

}  // namespace tracy_stub

#define TracyAllocN(p, bytes, name) tracy_stub::allocate(p, bytes, name)
#define TracyFreeN(p, name) tracy_stub::free(p, name)
#define TracyMessage(text, size) tracy_stub::message(text, size)
