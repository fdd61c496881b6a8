// expect-success
// SPDX-License-Identifier: MIT OR Apache-2.0
// Explicit instantiation needs no header of the functions that have one of their own.
#include <fastalloc/core.hpp>

template class fastalloc::FixedPool<int>;
template class fastalloc::GrowingPool<long, fastalloc::BitmapAllocator, fastalloc::BasicStats>;
template class fastalloc::FixedPool<int, fastalloc::InlineStorage<4>>;
