// expect: a FrameSlot holds a frame and one word
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/coroutine.hpp>

fastalloc::FixedPool<fastalloc::FrameSlot<sizeof(void*)>> frames(4);
