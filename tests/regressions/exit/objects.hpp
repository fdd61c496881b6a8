// SPDX-License-Identifier: MIT OR Apache-2.0
// A global pool in one file and a global handle in another. Which dies first is up to the order of linking.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <string>

extern fastalloc::FixedPool<std::string> global_pool;
extern fastalloc::Handle<std::string> global_handle;
