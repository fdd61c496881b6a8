// SPDX-License-Identifier: MIT OR Apache-2.0
// Requests that no heap can serve are part of the tests; AddressSanitizer shall answer them with null, as a heap does.
extern "C" char const* __asan_default_options() { return "allocator_may_return_null=1"; }
