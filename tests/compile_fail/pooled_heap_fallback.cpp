// expect: could not tell HeapFallback's objects from those of derived classes
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pooled.hpp>

struct Particle : fastalloc::Pooled<Particle, fastalloc::HeapFallback> {};
fastalloc::Pooled<Particle, fastalloc::HeapFallback>* p = new Particle;
