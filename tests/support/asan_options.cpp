// SPDX-License-Identifier: MIT OR Apache-2.0
// Requests that no heap can serve are part of the tests; AddressSanitizer shall answer them with null, as a heap does.
extern "C" char const* __asan_default_options() { return "allocator_may_return_null=1"; }

// A thread whose first pool comes in a pthread key's destructor is past its thread_local ones. The C library never
// frees the 32 bytes with which it noted ours.
extern "C" char const* __lsan_default_suppressions() { return "leak:__cxa_thread_atexit_impl\n"; }
