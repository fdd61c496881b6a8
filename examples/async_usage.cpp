// SPDX-License-Identifier: MIT OR Apache-2.0
// Handles in coroutines: they lie in the coroutine's frame, go with it from thread to thread, and end with it. The
// frames themselves come from a pool, too.
#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <mutex>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

namespace {

// Two threads, each with a queue of coroutines to resume. `co_await scheduler.on(i)` goes on in thread i.
class Scheduler {
 public:
  Scheduler() {
    for (std::size_t i = 0; i != threads_.size(); ++i) threads_[i] = std::thread([this, i] { run(i); });
  }
  ~Scheduler() {
    {
      std::lock_guard const guard(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  void post(std::size_t thread, std::coroutine_handle<> coroutine) {
    {
      std::lock_guard const guard(mutex_);
      queues_[thread].push(coroutine);
      ++unfinished_;
    }
    changed_.notify_all();
  }
  auto on(std::size_t thread) {
    struct Awaiter : std::suspend_always {
      Scheduler* scheduler;
      std::size_t thread;
      void await_suspend(std::coroutine_handle<> coroutine) const { scheduler->post(thread, coroutine); }
    };
    return Awaiter{{}, this, thread};
  }
  // Until every coroutine has ended, or waits for something that is not in the queues.
  void wait_until_idle() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return unfinished_ == 0; });
  }

 private:
  void run(std::size_t thread) {
    auto& queue = queues_[thread];
    std::unique_lock guard(mutex_);
    for (;;) {
      changed_.wait(guard, [&] { return stopping_ || !queue.empty(); });
      if (queue.empty()) return;
      auto const coroutine = queue.front();
      queue.pop();
      guard.unlock();
      coroutine.resume();
      guard.lock();
      if (--unfinished_ == 0) changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::queue<std::coroutine_handle<>>, 2> queues_;
  std::size_t unfinished_ = 0;
  bool stopping_ = false;
  std::array<std::thread, 2> threads_;
};

// Frames of up to half a kilobyte, 150 at a time; what is bigger, or too much, comes from the heap.
fastalloc::ThreadSafePool<fastalloc::FrameSlot<512>> frames(150);

// Owns a coroutine. Destroying it while it is suspended (and in no queue) destroys its locals, handles among them.
class Task {
 public:
  struct promise_type : fastalloc::PooledFrame<&frames> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }
  bool done() const { return coroutine_.done(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

// What one coroutine waits for, and somebody else sends.
class Reply {
 public:
  auto operator co_await() {
    struct Awaiter : std::suspend_always {
      Reply* reply;
      explicit Awaiter(Reply* r) : reply(r) {}
      Awaiter(Awaiter const&) = delete;
      Awaiter& operator=(Awaiter const&) = delete;
      ~Awaiter() { reply->waiting_ = nullptr; }  // also when the coroutine is cancelled: a late reply finds nobody
      void await_suspend(std::coroutine_handle<> coroutine) const { reply->waiting_ = coroutine; }
    };
    return Awaiter(this);
  }
  // Returns: true when somebody waited for it.
  bool send(Scheduler& scheduler) {
    auto const coroutine = std::exchange(waiting_, nullptr);
    if (coroutine) scheduler.post(0, coroutine);
    return static_cast<bool>(coroutine);
  }

 private:
  std::coroutine_handle<> waiting_;
};

struct Request {
  int number;
  long result = 0;
  std::thread::id built_on = std::this_thread::get_id();
};
using Pool = fastalloc::ThreadSafePool<Request, fastalloc::AtomicStats>;

constexpr std::size_t reader = 0, worker = 1;  // the threads

struct Totals {
  std::atomic<long> sum = 0;
  std::atomic<int> moved = 0;
};

Task square(Scheduler& scheduler, Pool& pool, int number, Totals& totals) {
  co_await scheduler.on(reader);
  Pool::handle_type request = pool.try_allocate(number);
  // Full: allocate_for() would block this thread, and all coroutines on it. This lets them go first, and tries again.
  for (; !request; request = pool.try_allocate(number)) co_await scheduler.on(reader);

  co_await scheduler.on(worker);
  request->result = long{request->number} * request->number;
  totals.sum += request->result;
  totals.moved += request->built_on != std::this_thread::get_id();
}  // the request, built by one thread, is destroyed by the other

Task ask(Scheduler& scheduler, Pool& pool, Reply& reply, int number, int& answered) {
  co_await scheduler.on(reader);
  auto const question = pool.allocate(number), notes = pool.allocate(number);
  co_await reply;
  ++answered;
}

}  // namespace

int main() {
  Pool pool(8);  // before the coroutines: those hold handles to its objects
  Scheduler scheduler;

  {
    Totals totals;
    std::vector<Task> tasks;
    for (int number = 0; number != 200; ++number) tasks.push_back(square(scheduler, pool, number, totals));
    scheduler.wait_until_idle();
    std::printf("frames from the pool: %zu, from the heap: %zu\n", frames.allocated(),
                Task::promise_type::heap_frames().count);
    std::size_t done = 0;
    for (auto const& task : tasks) done += task.done();
    std::printf("done: %zu, sum of squares: %ld\n", done, totals.sum.load());
    std::printf("built on one thread, destroyed on another: %d; in use: %zu\n", totals.moved.load(), pool.allocated());
  }

  {
    int answered = 0;
    std::array<Reply, 3> replies;
    std::vector<Task> tasks;
    for (int i = 0; i != 3; ++i)
      tasks.push_back(ask(scheduler, pool, replies[static_cast<std::size_t>(i)], i, answered));
    scheduler.wait_until_idle();
    std::printf("3 wait for replies: %zu in use\n", pool.allocated());

    replies[0].send(scheduler);
    scheduler.wait_until_idle();
    std::printf("answered: %d, %zu in use\n", answered, pool.allocated());

    tasks.clear();  // the other two are cancelled where they wait; main destroys what the reader's thread has built
    std::printf("cancelled: %zu in use\n", pool.allocated());
    std::printf("a late reply finds %s\n", replies[1].send(scheduler) ? "somebody" : "nobody");
  }
  std::printf("frames in use: %zu\n", frames.allocated());
  auto const statistics = pool.statistics();
  std::printf("allocations: %llu, deallocations: %llu\n", static_cast<unsigned long long>(statistics.total_allocations),
              static_cast<unsigned long long>(statistics.total_deallocations));
}
