// SPDX-License-Identifier: MIT OR Apache-2.0
#undef NDEBUG
#define FASTALLOC_CHECKED 1
#define FILE_NAME checked_file
#include "regressions/odr/file.inc"
