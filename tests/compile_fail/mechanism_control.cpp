// expect-success
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <climits>
#include <fastalloc/version.hpp>
static_assert(CHAR_BIT == 8 && FASTALLOC_VERSION > 0);
