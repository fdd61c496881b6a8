// expect: static.assert.*a byte has eight bits; use eight
// expect: mechanism_error.cpp:[0-9]+
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <climits>
static_assert(CHAR_BIT == 9, "a byte has eight bits; use eight");
