// SPDX-License-Identifier: MIT OR Apache-2.0
// Three pools in one arena.
//
// Use it where all memory of a subsystem is one buffer: a static array, a region that the linker script names, a mapped
// file, a block that was locked into memory. The sizes are constants, so the array is neither too small nor too big.
// One bound holds for all, and the end of the arena is the end of everything in it.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <span>

namespace {

struct Connection {
  int socket;
};
struct Request {
  Connection* from;
  std::array<char, 120> line;
};
struct Timer {
  long due;
};

template <class T> using Pool = fastalloc::FixedPool<T, fastalloc::ExternalStorage>;

constexpr std::size_t alignment = (std::max)(
    {Pool<Connection>::required_alignment(), Pool<Request>::required_alignment(), Pool<Timer>::required_alignment()});

/// Bytes for n objects, rounded up so that the next pool may begin behind them.
template <class T> constexpr std::size_t bytes_for(std::size_t n) {
  return (Pool<T>::required_bytes(n) + alignment - 1) / alignment * alignment;
}

/// Hands out the bytes of a buffer from the front.
class Arena {
 public:
  explicit Arena(std::span<std::byte> bytes) : left_(bytes) {}

  /// Returns: memory for n objects; less, which makes the pool an error, if there is not so much left.
  template <class T> fastalloc::ExternalStorage pop(std::size_t n) {
    auto const taken = left_.first((std::min)(bytes_for<T>(n), left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<std::byte> left_;
};

alignas(
    alignment) constinit std::byte buffer[bytes_for<Connection>(10) + bytes_for<Request>(40) + bytes_for<Timer>(20)]{};

}  // namespace

int main() {
  Arena arena(buffer);
  Pool<Connection> connections({.capacity = 10}, arena.pop<Connection>(10));
  Pool<Request> requests({.capacity = 40}, arena.pop<Request>(40));
  Pool<Timer> timers({.capacity = 20}, arena.pop<Timer>(20));
  std::printf("%zu connections, %zu requests, %zu timers\n", connections.capacity(), requests.capacity(),
              timers.capacity());

  auto const connection = connections.allocate(3);
  auto const request = requests.allocate(connection.get());
  auto const timer = timers.allocate(50);
  auto const is_inside = [](void const* p) { return p >= static_cast<void*>(buffer) && p < std::end(buffer); };
  std::printf("their objects lie in the arena: %s\n",
              is_inside(connection.get()) && is_inside(request.get()) && is_inside(timer.get()) ? "yes" : "no");

  auto const none = Pool<Request>::try_create({.capacity = 1}, arena.pop<Request>(1));
  std::printf("a fourth pool: %s\n", none ? "made" : none.error().message());
}
