// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef NDEBUG
#define NDEBUG
#endif
#define FILE_NAME ndebug_file
#include "regressions/odr/file.inc"
