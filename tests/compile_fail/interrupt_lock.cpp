// expect: InterruptLock<Enter, Exit> calls Exit.Enter...: let Enter mask interrupts and return the mask there was, and Exit take that mask
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

unsigned mask() noexcept;
void on() noexcept;

fastalloc::FixedPool<int, fastalloc::InterruptLock<mask, on>> pool(4);
