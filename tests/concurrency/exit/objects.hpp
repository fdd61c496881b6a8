// SPDX-License-Identifier: MIT OR Apache-2.0
// Global pools that threads share in one file, global handles in another. Which die first is up to the order of
// linking.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <string>

extern EXIT_POOL<std::string> global_pool;
extern fastalloc::Handle<std::string> global_handle;
