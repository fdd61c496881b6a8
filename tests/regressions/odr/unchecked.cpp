// SPDX-License-Identifier: MIT OR Apache-2.0
#undef NDEBUG
#define FASTALLOC_CHECKED 0
#define FILE_NAME unchecked_file
#include "regressions/odr/file.inc"
