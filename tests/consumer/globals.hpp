// SPDX-License-Identifier: MIT OR Apache-2.0
// Global variables of a user, with names that our parameters have: -Wshadow must not speak of our headers.
#pragma once

inline int pool, handle, slot, slots, owner, lock, value, count, capacity, storage, block, node, part, thread, size,
    next, previous, first, last, name, text, error, data, config, options, key, other, out, n, f, p, to, from;
