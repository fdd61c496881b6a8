// SPDX-License-Identifier: MIT OR Apache-2.0
// Lists of policies for tests that need not run over whole rows.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <tuple>

namespace behaviour {

using SlotPolicies = std::tuple<fastalloc::StackAllocator, fastalloc::FreeListAllocator, fastalloc::BitmapAllocator>;

}  // namespace behaviour
