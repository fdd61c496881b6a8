// SPDX-License-Identifier: MIT OR Apache-2.0
// An echo server: connections and buffers come from pools, so that it never uses more of either than it was given.
//
//   acceptor: accept -> Connection from the pool -> queue -> worker: Buffer from the pool, echo, until the client is
//   gone
//
// Its clients are threads of this program. POSIX sockets.
#include <fastalloc/fastalloc.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <latch>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
constexpr std::size_t max_connections = 4;
constexpr int workers = 3, clients = 12, requests = 25;

struct Socket {
  static inline std::atomic<int> open = 0;
  int fd;

  explicit Socket(int descriptor) : fd(descriptor) {
    if (fd < 0) return;
    ++open;
    timeval const limit{.tv_sec = 5, .tv_usec = 0};  // nobody waits for ever
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  Socket(Socket&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd >= 0) close(fd), --open;
  }

  // Returns: the bytes; 0 when the other side has closed, or time is up.
  std::size_t receive(char* to, std::size_t room, int flags = 0) const {
    return static_cast<std::size_t>(std::max<ssize_t>(recv(fd, to, room, flags), 0));
  }
  bool send_all(std::string_view bytes) const {
    return send(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  }
};

// Built from a socket by the pool, destroyed by its handle: that closes the socket.
struct Connection {
  Socket socket;
  std::size_t bytes = 0;
};
// Few slots that threads hand to each other: a cache for each thread would only hold them back.
using ConnectionPool = fastalloc::ThreadSafePool<Connection, fastalloc::NoCache>;

// Buffers are built once. What one client sent the next one must not see, so they are wiped when they come back.
using Buffer = std::array<char, 4096>;
std::atomic<int> buffers_built = 0;
constexpr auto build = [] { return ++buffers_built, Buffer{}; };
constexpr auto wipe = [](Buffer& buffer) noexcept { buffer.fill('\0'); };
using BufferPool = fastalloc::ThreadSafePool<Buffer, decltype(fastalloc::recycle(build, wipe))>;

class Server {
 public:
  explicit Server(Socket&& listener) : listener_(std::move(listener)) {
    threads_.emplace_back([this] { accept_all(); });
    for (int i = 0; i != workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Server() { stop(); }
  void stop() {
    std::unique_lock guard(mutex_);
    stopping_ = true;
    guard.unlock();
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  ConnectionPool connections{max_connections};
  BufferPool buffers{fastalloc::PoolConfig{.capacity = workers, .pre_initialize = true}};
  std::atomic<std::size_t> served = 0, refused = 0, bytes = 0;

 private:
  void accept_all() {
    while (!stopping_) {
      pollfd somebody{.fd = listener_.fd, .events = POLLIN, .revents = 0};
      if (poll(&somebody, 1, 20) <= 0) continue;  // looks after 20 ms whether to stop
      Socket socket(accept(listener_.fd, nullptr, nullptr));
      if (socket.fd < 0) continue;
      // All connections in use: wait until a worker is done with one. Later clients wait in the kernel's queue
      // meanwhile.
      auto connection = connections.allocate_for(5s, std::move(socket));
      if (!connection) {
        socket.send_all("busy\n");  // time was up: allocate_for() has left its arguments alone
        ++refused;
        continue;
      }
      std::lock_guard const guard(mutex_);
      accepted_.push(std::move(connection));
      changed_.notify_one();
    }
  }

  void work() {
    while (auto const connection = next()) {
      auto const buffer = buffers.allocate();  // one for each worker, so this never fails
      while (auto const count = connection->socket.receive(buffer->data(), buffer->size())) {
        if (!connection->socket.send_all({buffer->data(), count})) break;
        connection->bytes += count;
      }
      bytes += connection->bytes;
      ++served;
    }  // the buffer goes back, wiped; then the connection, which closes its socket
  }

  ConnectionPool::handle_type next() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return stopping_ || !accepted_.empty(); });
    if (accepted_.empty()) return nullptr;
    auto connection = std::move(accepted_.front());
    accepted_.pop();
    return connection;
  }

  Socket listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopping_ = false;
  std::queue<ConnectionPool::handle_type> accepted_;  // after the pools: handles are destroyed first
  std::vector<std::thread> threads_;
};

// Listens at a free port of the loopback interface, which `address` is set to.
Socket listen_at(sockaddr_in& address) {
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Socket listener(socket(AF_INET, SOCK_STREAM, 0));
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  bool const good = bind(listener.fd, any, size) == 0 && listen(listener.fd, clients) == 0 &&
                    getsockname(listener.fd, any, &size) == 0;
  return good ? std::move(listener) : Socket(-1);
}

// Returns: the bytes that came back as they were sent.
std::size_t run_client(int number, sockaddr_in const& address, std::latch& connected, std::latch const& begin) {
  Socket const socket(::socket(AF_INET, SOCK_STREAM, 0));
  bool const good = connect(socket.fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
  connected.count_down();
  begin.wait();
  std::size_t echoed = 0;
  for (int i = 0; good && i != requests; ++i) {
    std::string const request = "client " + std::to_string(number) + ", request " + std::to_string(i) + "\n";
    if (!socket.send_all(request)) break;
    std::string reply(request.size(), '\0');
    if (socket.receive(reply.data(), reply.size(), MSG_WAITALL) != reply.size() || reply != request) break;
    echoed += reply.size();
  }
  return echoed;
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);  // a client that is gone makes send() fail, not the program end
  {
    sockaddr_in address;
    Socket listener = listen_at(address);
    if (listener.fd < 0) return std::perror("no socket to listen at"), 1;
    Server server(std::move(listener));

    std::latch connected(clients), begin(1);
    std::atomic<std::size_t> echoed = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i != clients; ++i)
      threads.emplace_back([&, i] { echoed += run_client(i, address, connected, begin); });

    // As long as no client says anything, none of the first four leaves, and the others have to wait.
    connected.wait();
    for (int i = 0; i != 500 && !server.connections.is_full(); ++i) std::this_thread::sleep_for(10ms);
    std::printf("clients: %d, connections in use: %zu of %zu\n", clients, server.connections.allocated(),
                max_connections);

    begin.count_down();
    for (auto& thread : threads) thread.join();
    server.stop();
    std::printf("connections served: %zu, refused: %zu, buffers built: %d\n", server.served.load(),
                server.refused.load(), buffers_built.load());
    std::printf("bytes echoed: %zu, received by clients: %zu\n", server.bytes.load(), echoed.load());
    std::printf("leaks: %zu connections, %zu buffers", server.connections.allocated(), server.buffers.allocated());
  }
  std::printf(", %d sockets\n", Socket::open.load());
}
