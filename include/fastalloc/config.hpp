// SPDX-License-Identifier: MIT OR Apache-2.0
// Common macros: compiler features, and the names of the ABI namespaces.
//
// Everything works with plain `-I include`. A file <fastalloc_config.hpp> on the include path is read first and may set
//   FASTALLOC_CHECKED     0 or 1: the default checks policy is NoChecks or DebugChecks (default: 0 with NDEBUG)
//   FASTALLOC_EXCEPTIONS  0 or 1: failures throw, or call the error handler and abort (default: detected)
//   FASTALLOC_NAMESPACE   a name, as acme or acme::pools: the outermost namespace instead of fastalloc, for libraries
//                         that bring a copy of their own. Headers and users go on writing fastalloc::, which is then a
//                         macro. All files of one library set it alike; files of different copies share nothing.
// No macro changes the layout of a type. Macros that change behaviour are part of the namespace, so files compiled with
// different settings link safely. The namespaces also contain the version: two versions in one process share nothing.
// abi1 is the first part of their name for all of 1.x; the rest of the version follows, since functions of headers are
// compiled into every program, and may differ between versions that keep every interface.
//   FASTALLOC_ABI   depends on FASTALLOC_EXCEPTIONS, and on hosted or freestanding: configuration, results, handles
//   FASTALLOC_STATE depends on the version only: errors, the error handler, statistics, keys
//   FASTALLOC_MODE  depends also on the checks, AddressSanitizer and ThreadSanitizer: policies and pools
#pragma once

#if defined(__has_include)
#if __has_include(<fastalloc_config.hpp>)
#include <fastalloc_config.hpp>
#endif
#endif

#include <fastalloc/version.hpp>

#include <version>  // the standard library's feature macros

#ifdef FASTALLOC_NAMESPACE
#define fastalloc FASTALLOC_NAMESPACE  // names between <> stay: #include does not expand them
#endif

#ifndef FASTALLOC_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define FASTALLOC_EXCEPTIONS 1
#else
#define FASTALLOC_EXCEPTIONS 0
#endif
#endif

#if FASTALLOC_EXCEPTIONS
#define FASTALLOC_TRY try
#define FASTALLOC_CATCH_ALL catch (...)
#else
#define FASTALLOC_TRY if constexpr (true)
#define FASTALLOC_CATCH_ALL else
#endif

#ifndef FASTALLOC_CHECKED
#ifdef NDEBUG
#define FASTALLOC_CHECKED 0
#else
#define FASTALLOC_CHECKED 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FASTALLOC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTALLOC_ASAN 1
#endif
#endif
#ifndef FASTALLOC_ASAN
#define FASTALLOC_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define FASTALLOC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FASTALLOC_TSAN 1
#endif
#endif
#ifndef FASTALLOC_TSAN
#define FASTALLOC_TSAN 0
#endif

// 1 if the standard library has std::thread and std::mutex. Some hosted ones lack them: newlib, MinGW with the win32
// thread model, WASI. They get no ThreadSafePool and ThreadLocalPool, nor their locks and caches.
#if !__STDC_HOSTED__ || defined(_LIBCPP_HAS_NO_THREADS) || (defined(__GLIBCXX__) && !defined(_GLIBCXX_HAS_GTHREADS))
#define FASTALLOC_HAS_THREADS 0
#elif defined(_LIBCPP_HAS_THREADS)
#define FASTALLOC_HAS_THREADS _LIBCPP_HAS_THREADS
#else
#define FASTALLOC_HAS_THREADS 1
#endif

// For the library's own tests; see lock/lock.hpp.
#ifndef FASTALLOC_CHECK_LOCKS
#define FASTALLOC_CHECK_LOCKS 0
#endif

// 1 if the system has processes, sched_yield() and mmap(). Headers prove nothing: newlib and WASI ship some of them.
#if __STDC_HOSTED__ && (defined(__unix__) || defined(__APPLE__))
#define FASTALLOC_POSIX 1
#else
#define FASTALLOC_POSIX 0
#endif

// name1_0_0 for version 1.0.0
#define FASTALLOC_JOIN_(name, major, minor, patch) name##major##_##minor##_##patch
#define FASTALLOC_JOIN(name, major, minor, patch) FASTALLOC_JOIN_(name, major, minor, patch)
#define FASTALLOC_VERSIONED(name)                                                                 \
  FASTALLOC_JOIN(name, FASTALLOC_VERSION_MAJOR, FASTALLOC_VERSION_MINOR, FASTALLOC_VERSION_PATCH)

#if !__STDC_HOSTED__
#define FASTALLOC_ABI FASTALLOC_VERSIONED(bare_abi)
#elif FASTALLOC_EXCEPTIONS
#define FASTALLOC_ABI FASTALLOC_VERSIONED(abi)
#else
#define FASTALLOC_ABI FASTALLOC_VERSIONED(noexcept_abi)
#endif

#if FASTALLOC_CHECKED && FASTALLOC_ASAN
#define FASTALLOC_HOSTED_MODE checked_asan
#elif FASTALLOC_CHECKED && FASTALLOC_TSAN
#define FASTALLOC_HOSTED_MODE checked_tsan
#elif FASTALLOC_CHECKED
#define FASTALLOC_HOSTED_MODE checked
#elif FASTALLOC_TSAN
#define FASTALLOC_HOSTED_MODE unchecked_tsan
#elif FASTALLOC_ASAN
#define FASTALLOC_HOSTED_MODE unchecked_asan
#else
#define FASTALLOC_HOSTED_MODE unchecked
#endif
#if __STDC_HOSTED__
#define FASTALLOC_MODE FASTALLOC_VERSIONED(FASTALLOC_HOSTED_MODE)
#else
#define FASTALLOC_BARE_(mode) mode##_bare
#define FASTALLOC_BARE(mode) FASTALLOC_BARE_(mode)
#define FASTALLOC_MODE FASTALLOC_VERSIONED(FASTALLOC_BARE(FASTALLOC_HOSTED_MODE))
#endif
// Shared by all modes of one version: v1_0_0.
#define FASTALLOC_STATE FASTALLOC_VERSIONED(v)

// One definition per program, from a header. g++ emits inline variables as STB_GNU_UNIQUE, which makes a library
// impossible to unload. A weak definition is as unique, and is unloaded with its library.
#if defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
#define FASTALLOC_ONE [[gnu::weak]]
#else
#define FASTALLOC_ONE inline
#endif

// LOCAL: what each library has for itself, and constants that need no address in the program (g++ would make them
// unique). SHARED: what all libraries of a program that share symbols have in common, whatever their visibility.
#if defined(__GNUC__) && !defined(_WIN32) && !defined(__CYGWIN__)
#define FASTALLOC_LOCAL [[gnu::visibility("hidden")]]
#define FASTALLOC_SHARED [[gnu::visibility("default")]]
#else
#define FASTALLOC_LOCAL
#define FASTALLOC_SHARED
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define FASTALLOC_UNROLL _Pragma("GCC unroll 8")
#else
#define FASTALLOC_UNROLL
#endif

#if defined(__GNUC__)
#define FASTALLOC_ASSUME(condition) ((condition) ? void() : __builtin_unreachable())
#elif defined(_MSC_VER)
#define FASTALLOC_ASSUME(condition) __assume(condition)
#else
#define FASTALLOC_ASSUME(condition) void()
#endif

// Ends the program where no library may be there to do it.
#if defined(__GNUC__) || defined(__clang__)
#define FASTALLOC_TRAP() __builtin_trap()
#elif defined(_MSC_VER)
#define FASTALLOC_TRAP() __debugbreak()
#else
#define FASTALLOC_TRAP() (*static_cast<int volatile*>(nullptr) = 0)
#endif

// Prefetches memory for a write that follows soon.
#if defined(__GNUC__) && !defined(__arm__)
#define FASTALLOC_PREFETCHES 1
#define FASTALLOC_PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define FASTALLOC_PREFETCHES 0
#define FASTALLOC_PREFETCH(address) void()
#endif

#if defined(_MSC_VER)
#define FASTALLOC_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#define FASTALLOC_ALWAYS_INLINE __forceinline
#define FASTALLOC_COLD __declspec(noinline)
#define FASTALLOC_NOINLINE __declspec(noinline)
// MSVC lets a single empty base overlap, and several only on request.
#define FASTALLOC_EMPTY_BASES __declspec(empty_bases)
// Around classes whose padding is meant: C4324.
#define FASTALLOC_BEGIN_PADDED __pragma(warning(push)) __pragma(warning(disable : 4324))
#define FASTALLOC_END_PADDED __pragma(warning(pop))
#elif defined(__GNUC__)
#define FASTALLOC_NO_UNIQUE_ADDRESS [[no_unique_address]]
#ifdef FASTALLOC_OUTLINE
#define FASTALLOC_ALWAYS_INLINE inline
#else
#define FASTALLOC_ALWAYS_INLINE [[gnu::always_inline]] inline
#endif
#define FASTALLOC_COLD [[gnu::cold, gnu::noinline]]
#define FASTALLOC_NOINLINE [[gnu::noinline]]
#else
#define FASTALLOC_NO_UNIQUE_ADDRESS [[no_unique_address]]
#define FASTALLOC_ALWAYS_INLINE inline
#define FASTALLOC_COLD
#define FASTALLOC_NOINLINE
#endif
#ifndef FASTALLOC_EMPTY_BASES
#define FASTALLOC_EMPTY_BASES
#define FASTALLOC_BEGIN_PADDED
#define FASTALLOC_END_PADDED
#endif

// The fast path of each operation: inlined. Without optimization a call is faster, since g++ can still optimize single
// functions; so debug builds run most of an operation at full speed: a pair with checks takes 324 instructions instead
// of 601 (g++ 12 -O0). Tests that instantiate hundreds of pools define FASTALLOC_OUTLINE: the compiler then inlines and
// optimizes no function that it would not by itself, and takes two thirds of the time.
#if defined(__GNUC__) && !defined(__clang__) && !defined(__OPTIMIZE__) && !defined(FASTALLOC_OUTLINE)
#define FASTALLOC_OPTIMIZED [[gnu::optimize("O2")]]
#else
#define FASTALLOC_OPTIMIZED
#endif
#if defined(__GNUC__) && !defined(__OPTIMIZE__) && !defined(FASTALLOC_OUTLINE)
#define FASTALLOC_HOT FASTALLOC_OPTIMIZED FASTALLOC_NOINLINE
#else
#define FASTALLOC_HOT FASTALLOC_ALWAYS_INLINE
#endif
