// expect: two lifetime policies; keep one of ConstructOnAllocate, Recycle<Init, Reset>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

using Recycled = fastalloc::Recycle<int (*)(), void (*)(int&)>;
fastalloc::FixedPool<int, fastalloc::ConstructOnAllocate, Recycled> pool(4);
