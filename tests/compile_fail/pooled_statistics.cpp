// expect: fastalloc: this pool counts nothing; add BasicStats after T
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pooled.hpp>

struct Particle : fastalloc::Pooled<Particle> {};
auto const statistics = Particle::pool_statistics();
