// expect: the statistics of a pool in an ExternalStorage with LockFree lie behind the header of the span, at a multiple of 8 bytes; leave a greater alignas out of the policy
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using namespace fastalloc;
struct alignas(64) WideStats : AtomicStats {};
FixedPool<int, ExternalStorage, LockFree, WideStats> pool(std::span<std::byte>{});
