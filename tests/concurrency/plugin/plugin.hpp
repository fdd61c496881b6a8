// SPDX-License-Identifier: MIT OR Apache-2.0
// What the library that comes and goes offers.
#pragma once

#include <cstddef>

extern "C" {
/// Uses the library's own pools on the calling thread. Returns: objects that were had until one was refused.
using PluginUse = std::size_t (*)();
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
std::size_t
plugin_use();
}
