// SPDX-License-Identifier: MIT OR Apache-2.0
// SystemSlot: a pointer for each thread, where the compiler's thread_local does not suffice. GCC for MinGW emulates
// thread_local on the heap, and frees that memory before it runs the destructors of thread_local objects and before any
// notification of the thread's end. A slot of the operating system outlives both.
#pragma once

#include <fastalloc/config.hpp>

#if defined(_WIN32) && defined(__GNUC__) && !defined(__clang__)
#define FASTALLOC_EMULATED_TLS 1

#include <atomic>

extern "C" {  // as declared in <windows.h>
__declspec(dllimport) unsigned long __stdcall GetLastError(void);
__declspec(dllimport) void __stdcall SetLastError(unsigned long);
__declspec(dllimport) unsigned long __stdcall TlsAlloc(void);
__declspec(dllimport) void* __stdcall TlsGetValue(unsigned long);
__declspec(dllimport) int __stdcall TlsSetValue(unsigned long, void*);
}

namespace fastalloc::detail::inline FASTALLOC_MODE {

template <class V> class SystemSlot {
  static constexpr unsigned long none = ~0UL;  // TlsGetValue() returns null for it

 public:
  constexpr SystemSlot() noexcept = default;

  /// Returns: null until the same thread calls set().
  [[nodiscard]] V* get() const noexcept {
    unsigned long const error = GetLastError();  // TlsGetValue() clears it
    // relaxed: a thread that has set a value has read the number.
    void* const value = TlsGetValue(number_.load(std::memory_order_relaxed));
    SetLastError(error);
    return static_cast<V*>(value);
  }
  /// Requires: a lock is held. Returns: false when the system has no more slots.
  bool set(V* value) noexcept {
    // relaxed, three times: the lock orders them.
    if (number_.load(std::memory_order_relaxed) == none) number_.store(TlsAlloc(), std::memory_order_relaxed);
    return TlsSetValue(number_.load(std::memory_order_relaxed), value) != 0;
  }

 private:
  std::atomic<unsigned long> number_{none};
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

/// Effects: the system calls `function(void*, unsigned long reason, void*)` at the end of a thread or the process,
/// through an entry in the loader's list. The list is sorted by section name: this entry comes after the runtime's,
/// which runs the destructors of thread_local objects. Every file that uses the macro adds an entry, so the function is
/// called several times.
#define FASTALLOC_HEAR_OF_THREADS(function)                                                                            \
  [[gnu::section(".CRT$XLY"), gnu::used]] static void(__stdcall* const hear_of_threads)(void*, unsigned long, void*) = \
      &function
#else
#define FASTALLOC_EMULATED_TLS 0
#endif
