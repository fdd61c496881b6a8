// SPDX-License-Identifier: MIT OR Apache-2.0
// What bare.cpp, which knows of no operating system, offers to the files that have one.
#pragma once

#include <fastalloc/handle/key.hpp>

bool bare_pool_works();
int bare_pool_fails();
fastalloc::Key bare_key();
