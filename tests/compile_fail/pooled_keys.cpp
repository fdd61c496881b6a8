// expect-first: fastalloc: Pooled objects are built by new and ended by delete; leave lifetime, sharing and keys policies out
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/slots/generations.hpp>

struct Particle : fastalloc::Pooled<Particle, fastalloc::Generations> {};
