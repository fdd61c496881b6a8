// expect: a template argument after T is not a policy.*include the policy's own header
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

struct Sink;
fastalloc::FixedPool<int, fastalloc::TraceStats<Sink>> pool(4);
