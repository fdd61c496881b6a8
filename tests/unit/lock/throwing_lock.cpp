// SPDX-License-Identifier: MIT OR Apache-2.0
// A lock whose lock() throws, as a BasicLockable may (std::mutex: std::system_error): the exception reaches the caller,
// and the pool is as it was before.
#include <fastalloc/fastalloc.hpp>

#include "support/catch.hpp"

#include <vector>

#if FASTALLOC_EXCEPTIONS

using namespace fastalloc;

namespace {

struct Refused {};

/// Throws at the countdown's end.
struct RefusingLock {
  static inline int left = -1;  ///< calls of lock() that do not throw; negative: none throws
  void lock() {
    if (left >= 0 && left-- == 0) throw Refused();
    taken = true;
  }
  void unlock() noexcept { taken = false; }
  bool taken = false;
};

using Pool = FixedPool<long, RefusingLock, BitmapAllocator, Generations>;

/// True if f throws when its first lock() is refused.
template <class F> bool is_refused(F&& f) {
  RefusingLock::left = 0;
  bool refused = false;
  try {
    f();
  } catch (Refused const&) {
    refused = true;
  }
  RefusingLock::left = -1;
  return refused;
}

}  // namespace

TEST_CASE("a lock that throws: the caller has the exception, and the pool is unchanged") {
  Pool pool(10);
  auto const key = pool.reserve_key();
  std::vector<Pool::handle_type> handles(2);
  CHECK(is_refused([&] { (void)pool.allocate(); }));
  CHECK(is_refused([&] { (void)pool.allocate_n(2); }));
  CHECK(is_refused([&] { (void)pool.try_allocate_n(2); }));
  CHECK(is_refused([&] { pool.allocate_batch(2, handles.begin()); }));
  CHECK(is_refused([&] { (void)pool.allocate_at(std::size_t{5}); }));
  CHECK(is_refused([&] { (void)pool.reserve_key(); }));
  CHECK(is_refused([&] { (void)pool.build(key); }));
  CHECK(is_refused([&] { pool.cancel(key); }));
  CHECK(is_refused([&] { pool.for_each([](long) {}); }));
  CHECK(is_refused([&] { (void)pool.capacity(); }));

  CHECK(pool.allocated() == 1);
  CHECK(pool.check_invariants());
  CHECK(pool.build(key, 7L));
  CHECK(pool.is_empty());
}

TEST_CASE("a lock that throws: in a full pool, too") {
  FixedPool<long, RefusingLock> pool(1);
  auto const handle = pool.allocate(1);
  CHECK(is_refused([&] { (void)pool.try_allocate(); }));
  CHECK_FALSE(pool.try_allocate());
  CHECK(pool.allocated() == 1);
}

#endif
