// SPDX-License-Identifier: MIT OR Apache-2.0
#include "regressions/exit/objects.hpp"

fastalloc::Handle<std::string> global_handle;
