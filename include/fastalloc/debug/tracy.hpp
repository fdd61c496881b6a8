// SPDX-License-Identifier: MIT OR Apache-2.0
// TracySink: a sink for TraceStats that shows objects in the Tracy profiler: each pool as a memory pool of its own, and
// growth and failures as messages.
//
//   FixedPool<Order, TraceStats<TracySink>> orders(PoolConfig{.capacity = 1000, .name = "orders"});
//
// Add Tracy's directory "public" to the include path, and define TRACY_ENABLE, as for Tracy itself. Without its header
// TracySink is only declared.
#pragma once

#include <fastalloc/debug/trace_stats.hpp>

#include <cstdio>
#include <new>

#if __has_include(<tracy/Tracy.hpp>)
#include <tracy/Tracy.hpp>

namespace fastalloc::inline FASTALLOC_MODE {

/// Initially on. Tracy ends a session in which memory is freed twice or was never allocated: switch it with turn() only
/// while no object of a pool with this sink is live.
/// Each different name of a pool (or of its type, if it has none) keeps a few bytes for the rest of the program, since
/// Tracy refers to them. Without memory for one, its pools share the name "fastalloc".
struct TracySink : TraceSwitch<TracySink, true> {
  static void event(TraceEvent const& e) noexcept {
    [[maybe_unused]] char const* const name = lasting(e.pool_name.empty() ? e.type_name : e.pool_name);
    switch (e.kind) {
      case TraceKind::allocated: TracyAllocN(e.address, e.bytes, name); return;
      case TraceKind::freed: TracyFreeN(e.address, name); return;
      case TraceKind::grew: return say(name, "the pool grew");
      case TraceKind::failed: return say(name, "no slot was free");
      case TraceKind::waited: return say(name, e.served ? "waited for a slot" : "waited for a slot in vain");
    }
  }

 private:
  struct Name {
    Name* next;
    std::size_t length;
    [[nodiscard]] char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
  };
  static inline constinit std::atomic<Name*> names_{nullptr};

  /// The same characters, and a zero, at an address that stays. Complexity: linear in the names.
  static char const* lasting(std::string_view name) noexcept {
    Name* first = names_.load(std::memory_order_acquire);  // acquire: pairs with the release below
    if (Name* const found = find(first, nullptr, name)) return found->text();
    void* const memory = ::operator new(sizeof(Name) + name.size() + 1, std::nothrow);
    if (memory == nullptr) return "fastalloc";
    Name* const made = ::new (memory) Name{first, name.size()};
    if (!name.empty()) std::memcpy(made->text(), name.data(), name.size());
    made->text()[name.size()] = '\0';
    // release: publishes the characters. acquire: a failure reads what another thread added.
    while (!names_.compare_exchange_weak(made->next, made, std::memory_order_release, std::memory_order_acquire)) {
      if (Name* const found = find(made->next, first, name)) return ::operator delete(memory), found->text();
      first = made->next;
    }
    return made->text();
  }
  static Name* find(Name* from, Name const* end, std::string_view name) noexcept {
    for (Name* at = from; at != end; at = at->next)
      if (std::string_view(at->text(), at->length) == name) return at;
    return nullptr;
  }

  static void say(char const* name, char const* text) noexcept {
    char line[128];
    int const length = std::snprintf(line, sizeof line, "%s: %s", name, text);
    if (length <= 0) return;
    auto const size = static_cast<std::size_t>(length);
    TracyMessage(line, size < sizeof line ? size : sizeof line - 1);
  }
};

}  // namespace fastalloc::inline FASTALLOC_MODE

#else

namespace fastalloc::inline FASTALLOC_MODE {

// Incomplete: add the folder "public" of Tracy to the include path, so that <tracy/Tracy.hpp> is found.
struct TracySink;

}  // namespace fastalloc::inline FASTALLOC_MODE

#endif
