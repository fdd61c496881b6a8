// expect: fastalloc: a class names itself in its base, as in struct Particle : Pooled<Particle>
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pooled.hpp>

struct Spark {
  int number;
};
struct Particle : fastalloc::Pooled<Spark> {};
auto* const particle = new Particle;
