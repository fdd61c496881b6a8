// SPDX-License-Identifier: MIT OR Apache-2.0
// An event loop that never blocks for a slot: it hears of one through a file descriptor, as of everything else.
//
// For loops over poll(), epoll or io_uring, and for Asio: post() takes the place of the pipe there. A pipe works on
// every POSIX system; on Linux an eventfd takes one descriptor instead of two. Workers release jobs on their own
// threads, and the function of on_available() runs there: it puts the object into a queue and wakes the loop. Requests
// are served in order, so no client starves. The last client hangs up before there is a slot: its request is cancelled.
#include <fastalloc/fastalloc.hpp>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct Job {
  int client = 0;
};
using Jobs = fastalloc::ThreadSafePool<Job>;

/// Jobs that other threads hand to the loop; fd() is readable while there are any.
class Inbox {
 public:
  Inbox() {
    if (::pipe(ends_) != 0) std::perror("pipe");
  }
  ~Inbox() { ::close(ends_[0]), ::close(ends_[1]); }
  Inbox(Inbox const&) = delete;
  Inbox& operator=(Inbox const&) = delete;

  [[nodiscard]] int fd() const { return ends_[0]; }
  void put(Jobs::handle_type job) {
    std::lock_guard const guard(mutex_);
    jobs_.push_back(std::move(job));
    if (::write(ends_[1], "x", 1) != 1) std::perror("write");
  }
  std::vector<Jobs::handle_type> take_all() {
    std::lock_guard const guard(mutex_);
    char bytes[64];
    for (std::size_t read = 0; read < jobs_.size();) {
      auto const n = ::read(ends_[0], bytes, sizeof bytes < jobs_.size() - read ? sizeof bytes : jobs_.size() - read);
      if (n <= 0) break;
      read += static_cast<std::size_t>(n);
    }
    return std::exchange(jobs_, {});
  }

 private:
  int ends_[2];
  std::mutex mutex_;
  std::vector<Jobs::handle_type> jobs_;
};

}  // namespace

int main() {
  constexpr std::size_t clients = 6;
  Jobs jobs(2);
  Inbox inbox;
  std::vector<fastalloc::SlotRequest> requests;
  std::vector<int> served;

  // The workers have all slots, so that every client has to wait for one.
  std::vector<Jobs::handle_type> running;
  while (auto job = jobs.try_allocate()) running.push_back(std::move(job));

  for (int client = 1; client <= 7; ++client)
    requests.push_back(jobs.on_available([&inbox, client](auto& slot) {
      if (slot) inbox.put(slot.allocate(client));  // empty: the pool ends
    }));
  std::printf("%zu clients wait, and no thread does\n", requests.size());
  std::printf("the last one hangs up: %s\n", requests.back().cancel() ? "cancelled" : "too late");

  std::thread worker([&] { running.clear(); });  // on another thread: two jobs end
  while (served.size() != clients) {
    ::pollfd event{.fd = inbox.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&event, 1, -1) != 1) break;
    for (auto& job : inbox.take_all()) {
      served.push_back(job->client);
      job.reset();  // done; the slot serves the next client
    }
  }
  worker.join();
  std::sort(served.begin(), served.end());  // two threads put jobs into the inbox
  for (int const client : served) std::printf("client %d had a job\n", client);
  std::printf("%zu slots in use\n", jobs.allocated());
}
