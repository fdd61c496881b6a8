// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole life of an object in a pool: built in place, owned by a handle, returned when the handle goes.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Connection {
  std::string peer;
  int port;
};

using Pool = fastalloc::FixedPool<Connection>;

// A handle is move-only, like std::unique_ptr: who holds it owns the object.
void close(Pool::handle_type connection) { std::printf("closing %s:%d\n", connection->peer.c_str(), connection->port); }

}  // namespace

int main() {
  Pool pool(3);  // three slots, acquired now: allocate() never asks the heap

  auto web = pool.allocate("example.org", 443);  // builds Connection{"example.org", 443} in its slot
  auto mail = pool.allocate("mail.example.org", 25);
  std::printf("%zu of %zu in use\n", pool.allocated(), pool.capacity());

  close(std::move(mail));
  std::printf("moved away: %s, %zu in use\n", mail ? "no" : "yes", pool.allocated());

  {
    auto brief = pool.allocate("localhost", 8080);
    std::printf("inside the scope: %zu in use\n", pool.allocated());
  }
  std::printf("behind the scope: %zu in use\n", pool.allocated());

  // A full pool is an answer for those who ask, ...
  std::vector<Pool::handle_type> others;
  while (auto connection = pool.try_allocate("10.0.0.1", 80)) others.push_back(std::move(connection));
  std::printf("filled up with %zu more, full: %s\n", others.size(), pool.is_full() ? "yes" : "no");

  // ... and an exception for those who rely on having room.
#if FASTALLOC_EXCEPTIONS
  try {
    auto extra = pool.allocate("10.0.0.2", 80);
  } catch (fastalloc::PoolExhausted const& exception) {
    fastalloc::Error const& error = exception.error();
    std::printf("%s: %zu of %zu slots in use\n", name(error.code), error.allocated, error.capacity);
  }
#else
  std::printf("pool_exhausted: %zu of %zu slots in use\n", pool.allocated(), pool.capacity());
#endif

  // Live objects in address order. Releasing any of them in here would be safe.
  pool.for_each(
      [](Connection const& connection) { std::printf("open: %s:%d\n", connection.peer.c_str(), connection.port); });
}  // handles first, then the pool: declare the pool before what it feeds
