// expect: a message that no compiler prints
// SPDX-License-Identifier: MIT OR Apache-2.0
static_assert(false);
