// SPDX-License-Identifier: MIT OR Apache-2.0
// A particle system: each frame brings a burst of objects, and each lives for a random number of frames. Shows what a
// slot allocator decides: where in memory the live objects lie.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

namespace {

struct Particle {
  float x, y, vx, vy;
  int frames_left;
};

/// A small generator, so that every run and every platform sees the same waves.
class Random {
 public:
  std::uint32_t below(std::uint32_t n) {
    state_ = state_ * 1664525U + 1013904223U;
    return (state_ >> 16) % n;
  }

 private:
  std::uint32_t state_ = 1;
};

template <class Pool> class Emitter {
 public:
  explicit Emitter(std::size_t most) : pool_(most) { particles_.reserve(most); }

  // One call for many: the slots are taken in one step, and either all are there or none.
  bool burst(std::size_t n) {
    std::size_t const before = particles_.size();
    if (!pool_.try_allocate_batch(n, std::back_inserter(particles_), Particle{0, 0, 1, 1, 0})) return false;
    for (std::size_t i = before; i != particles_.size(); ++i)
      particles_[i]->frames_left = 1 + static_cast<int>(random_.below(40));
    return true;
  }

  void frame() {
    for (std::size_t i = 0; i != particles_.size();) {
      Particle& p = *particles_[i];
      p.x += p.vx;
      p.y += p.vy;
      if (--p.frames_left > 0) {
        ++i;
        continue;
      }
      particles_[i] = std::move(particles_.back());  // returns the dead one to the pool
      particles_.pop_back();
    }
  }

  std::size_t live() const { return particles_.size(); }

  /// Slots from the first to the last in use: what a walk through memory, or an upload to a GPU, has to cover.
  std::size_t span() const {
    std::size_t end = 0;
    for (auto const& particle : particles_) end = std::max(end, pool_.index_of(particle) + 1);
    return end;
  }

 private:
  Pool pool_;  // before the handles
  std::vector<typename Pool::handle_type> particles_;
  Random random_;
};

template <class Pool> void run(char const* title) {
  Emitter<Pool> emitter(4096);
  for (int frame = 0; frame != 200; ++frame) {
    emitter.burst(frame < 100 ? 100 : 10);  // a storm, then a drizzle
    emitter.frame();
  }
  std::printf("%s: %zu live particles in the first %zu slots\n", title, emitter.live(), emitter.span());

  // The pool is small on purpose: a burst that does not fit changes nothing.
  std::size_t const before = emitter.live();
  bool const fits = emitter.burst(5000);
  std::printf("  a burst of 5000: %s, still %s\n", fits ? "fits" : "refused",
              emitter.live() == before ? "as before" : "changed");
}

}  // namespace

int main() {
  // The default hands out the slot returned last: warmest in the cache, anywhere in memory.
  run<fastalloc::FixedPool<Particle>>("StackAllocator ");
  // The bitmap hands out the lowest free address: survivors drift to the front, and it takes 1 bit a slot instead of
  // 32.
  run<fastalloc::FixedPool<Particle, fastalloc::BitmapAllocator>>("BitmapAllocator");
}
