// expect: fastalloc: a pool with LockFree does not grow; give the class a capacity
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/lock/lock_free.hpp>

struct Particle : fastalloc::Pooled<Particle, fastalloc::LockFree> {};
auto* const particle = new Particle;
