// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

/// Counts a check; prints the text of one that fails.
void check(bool ok, char const* what);

/// An interrupt handler makes samples, and the main program frees them.
void samples_from_interrupt();
/// The main program makes messages, and an interrupt handler frees them.
void messages_to_interrupt();
