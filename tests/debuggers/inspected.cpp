// SPDX-License-Identifier: MIT OR Apache-2.0
// A program for debuggers: it makes one of everything, and calls stop_here(), where the tests look at it.
#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/debug/gdb.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <utility>

using namespace fastalloc;

struct Particle {
  int x, y;
};

[[gnu::noinline]] void stop_here() { std::puts("stopped"); }

int main() {
  FixedPool<Particle, FullChecks, Generations, Shared, BasicStats> fixed(PoolConfig{.capacity = 10, .name = "sparks"});
  auto a = fixed.allocate(Particle{1, 2});
  auto b = fixed.allocate(Particle{3, 4});
  auto c = fixed.allocate(Particle{5, 6});
  auto const key = fixed.key(c);
  [[maybe_unused]] Key const nothing{};
  b.reset();
  auto shared = c.share();
  auto weak = shared.downgrade();
  PoolStatistics const statistics = fixed.statistics();

  GrowingPool<Particle, FullChecks> growing(2);
  auto g1 = growing.allocate(Particle{7, 8});
  auto g2 = growing.allocate(Particle{9, 10});
  auto g3 = growing.allocate(Particle{11, 12});
  g2.reset();
  Handle<Particle> erased = growing.allocate(Particle{13, 14});
  [[maybe_unused]] Handle<Particle> empty;
  auto batch = growing.allocate_batch_handle(2, Particle{15, 16});

  FixedPool<Particle, NoChecks> unchecked(4);
  auto u1 = unchecked.allocate(Particle{1, 1});
  auto u2 = unchecked.allocate(Particle{2, 2});
  u1.reset();
  GrowingPool<Particle, NoChecks, BitmapAllocator> bits(4);
  auto run = bits.allocate_n(3, Particle{17, 18});

  ThreadSafePool<int, FullChecks> threads(PoolConfig{.capacity = 100, .name = "jobs"});
  auto job = threads.allocate(42);
  ThreadLocalPool<int, FullChecks> local(50);
  auto mine = local.allocate(43);
  MovablePool<FixedPool<int, FullChecks>> movable{3};
  auto moved = movable->allocate(44);

  [[maybe_unused]] FixedPool<int, InlineStorage<4>> closed;
  [[maybe_unused]] auto& reference = closed;
  FixedPool<int, Generations32> shorts(3);
  auto s1 = shorts.allocate(1);
  auto s2 = shorts.allocate(2);
  auto const small = shorts.key(s2);
  FixedPool<int, Shared> dying(2);
  auto strong = dying.allocate(1).share();
  [[maybe_unused]] auto gone = strong.downgrade();
  strong.reset();

  PoolResource resource;
  void* const block = resource.allocate(100);

  PoolConfig wrong{.capacity = 0, .name = "wrong"};
  Result<void> const bad = wrong.validate();
  wrong.capacity = 1;
  [[maybe_unused]] Result<void> const good = wrong.validate();
  [[maybe_unused]] auto const number = Result<int>(17);
  [[maybe_unused]] Error const error{
      .code = ErrorCode::double_free, .capacity = 10, .text = "returned twice", .type_name = "Particle"};

  [[maybe_unused]] Result<int> const failed =
      Error{.code = ErrorCode::pool_exhausted, .requested = 3, .text = "nothing left"};

  stop_here();
  resource.deallocate(block, 100);
  return static_cast<int>(static_cast<bool>(bad) && key == Key() && !small && statistics.capacity == 0);
}
