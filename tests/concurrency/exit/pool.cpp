// SPDX-License-Identifier: MIT OR Apache-2.0
#include "concurrency/exit/objects.hpp"

EXIT_POOL<std::string> global_pool(8);
