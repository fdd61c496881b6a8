// SPDX-License-Identifier: MIT OR Apache-2.0
// Every header behind the macros of other people's: none of our identifiers may be one of them. -D PLANTED: without our
// headers, but with two such identifiers; must not compile.
//
// The standard library and the system come first, as those people's headers have it. Then each macro becomes something
// that compiles nowhere, whatever stands around it.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <compare>
#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>
#include <version>

#if __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Those with arguments: (std::max)(a, b) is none, std::max(a, b) is.
#define min(...) `
#define max(...) `
// Qt
#define slots `
#define signals `
#define emit `
#define foreach `
#define forever `
// windows.h
#define near `
#define far `
#define small `
#define hyper `
#define interface `
#define cdecl `
#define pascal `
#define CALLBACK `
#define CONST `
#define CreateEvent `
#define DELETE `
#define ERROR `
#define FALSE `
#define GetMessage `
#define GetObject `
#define IGNORE `
#define IN `
#define NO_ERROR `
#define OPAQUE `
#define OPTIONAL `
#define OUT `
#define STRICT `
#define TRANSPARENT `
#define TRUE `
#define VOID `
#define Yield(...) `
// Unreal, old macOS, Objective-C
#define check(...) `
#define checkf(...) `
#define ensure(...) `
#define require(...) `
#define verify(...) `
#define FORCEINLINE `
#define LIKELY(...) `
#define NO `
#define TEXT(...) `
#define UNLIKELY(...) `
#define YES `
#define nil `
// Arduino, AVR
#define abs(...) `
#define bit(...) `
#define bitRead(...) `
#define interrupts(...) `
#define noInterrupts(...) `
#define round(...) `
#define sq(...) `
#define word(...) `
#define DEFAULT `
#define F(...) `
#define HIGH `
#define INPUT `
#define LOW `
#define OUTPUT `
#define PI `
// X11, complex.h
#define Above `
#define Always `
#define Bool `
#define Complex `
#define CursorShape `
#define False `
#define I `
#define KeyPress `
#define None `
#define Status `
#define Success `
#define True `
#define Unsorted `
// Zephyr, Linux kernels, old Unix
#define ALIGN(...) `
#define ARRAY_SIZE(...) `
#define ATOMIC_INIT(...) `
#define BIT(...) `
#define CONTAINER_OF(...) `
#define MAX(...) `
#define MIN(...) `
#define ROUND_UP(...) `
#define likely(...) `
#define unlikely(...) `
#undef linux
#undef unix
#undef major
#undef minor
#define linux `
#define major(...) `
#define minor(...) `
#define unix `

#ifdef PLANTED

#if PLANTED == 1
int slots = 0;
#else
int greatest(int a, int b) { return std::max(a, b); }
#endif

#else

#include "every_header.hpp"  // made by CMakeLists.txt

using namespace fastalloc;

struct Item {
  int value = 0;
};

// Macros in templates are seen where those are parsed; what has a meaning only with arguments, where they are used.
template class fastalloc::FixedPool<Item, BitmapAllocator, Generations, BasicStats, FullChecks>;
template class fastalloc::GrowingPool<Item, FreeListAllocator, Shared>;
template class fastalloc::ThreadSafePool<Item, AtomicStats>;
template class fastalloc::ThreadLocalPool<Item>;

#endif
