// expect-each: first
// SPDX-License-Identifier: MIT OR Apache-2.0
static_assert(false, "first");
static_assert(false, "second");
