// SPDX-License-Identifier: MIT OR Apache-2.0
// The version of the library, for the preprocessor. CMakeLists.txt reads the three numbers from here; no other place
// states them.
#pragma once

#define FASTALLOC_VERSION_MAJOR 1
#define FASTALLOC_VERSION_MINOR 0
#define FASTALLOC_VERSION_PATCH 0

// One number to compare: FASTALLOC_VERSION >= 10200 means "1.2.0 or later".
#define FASTALLOC_VERSION (FASTALLOC_VERSION_MAJOR * 10000 + FASTALLOC_VERSION_MINOR * 100 + FASTALLOC_VERSION_PATCH)
#define FASTALLOC_VERSION_STRING "1.0.0"
