// SPDX-License-Identifier: MIT OR Apache-2.0
#include "concurrency/plugin/hidden.hpp"

#include <new>

using namespace hidden;

extern "C" __attribute__((visibility("default"))) ReloadFunctions const reload_functions;
ReloadFunctions const reload_functions{
    [](void* memory) { return ::new (memory) Fixed(10); },
    [](Fixed& pool, int value) { return fastalloc::Handle<Item>(pool.allocate(value)); },
    [](Fixed& pool) { pool.rebind(); },
};
