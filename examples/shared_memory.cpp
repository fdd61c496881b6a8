// SPDX-License-Identifier: MIT OR Apache-2.0
// One pool for several processes: a parent sends jobs to its children, which send the results back. The objects lie in
// memory that all of them share, at an address of its own in each; what goes through the pipes is 8 bytes a job,
// whatever its size.
#include <fastalloc/fastalloc.hpp>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace {

// No pointers in it: they would be addresses of one process.
struct Job {
  explicit Job(int n) : number(n) { std::snprintf(text, sizeof text, "job number %d", n); }
  int number;
  int letters = 0;
  ::pid_t worker = 0;  // who has it
  char text[100];
};

// LockFree: a process that is stopped, or killed, never holds up the others. Generations: keys, so that what arrives
// can be checked. Checks and statistics are part of what processes must agree on, so they are named: their defaults
// depend on how a program is compiled.
using Pool = fastalloc::FixedPool<Job, fastalloc::ExternalStorage, fastalloc::LockFree, fastalloc::Generations,
                                  fastalloc::DebugChecks>;
constexpr std::size_t slots = 8;
constexpr int jobs = 100;

struct Pipe {
  Pipe() {
    if (::pipe(ends) != 0) std::exit(1);
  }
  int ends[2];

  // The pipe also puts things in order: who reads the key sees the object as it was when the key was written.
  void send(fastalloc::Key key) const {
    std::uint64_t const value = key.value();
    if (::write(ends[1], &value, sizeof value) != sizeof value) std::exit(1);
  }
  // A key that names nothing when the other end is closed.
  [[nodiscard]] fastalloc::Key receive() const {
    std::uint64_t value = 0;
    return fastalloc::Key::from_value(::read(ends[0], &value, sizeof value) == sizeof value ? value : 0);
  }
};

// Anonymous shared memory has no name by which it could be mapped a second time; a file has. Programs that do not know
// each other use shm_open() with a name; the one for which O_CREAT | O_EXCL succeeds creates the pool.
int shared_file(std::size_t bytes) {
  char path[] = "/tmp/fastalloc-example-XXXXXX";
  int const file = ::mkstemp(path);
  if (file < 0 || ::ftruncate(file, static_cast<::off_t>(bytes)) != 0) std::exit(1);
  ::unlink(path);
  return file;
}

std::span<std::byte> map(int file, std::size_t bytes) {
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) std::exit(1);
  return {static_cast<std::byte*>(at), bytes};
}

// A child: the same memory at another address, and the pool that it finds there.
int work(std::span<std::byte> span, Pipe const& in, Pipe const& out) {
  auto pool = Pool::try_create(fastalloc::ExternalStorage::attach(span));
  if (!pool) {
    std::printf("%s\n", pool.error().to_string().c_str());
    return 1;
  }
  ::close(in.ends[1]);
  while (fastalloc::Key const key = in.receive()) {
    Job* const job = pool->get(key);
    if (job == nullptr) continue;  // somebody took it back
    job->worker = ::getpid();
    for (char const* c = job->text; *c != '\0'; ++c) job->letters += *c >= 'a' && *c <= 'z' ? 1 : 0;
    out.send(key);
  }
  return 0;  // the pool's destructor says nothing: objects are the parent's
}

void send_jobs(Pool& pool, Pipe const& there, Pipe const& back) {
  int sent = 0, received = 0, letters = 0, refused = 0;
  while (received != jobs) {
    if (sent != jobs) {
      if (auto job = pool.try_allocate(sent)) {
        there.send(pool.key(job));
        // From here on the job belongs to whoever has the key.
        (void)job.release();
        ++sent;
        continue;
      }
      ++refused;  // all slots are under way: wait for a result
    }
    auto const job = pool.adopt(pool.get(back.receive()));
    letters += job->letters;
    ++received;
  }  // each job ends here, in the process that began it; the worker could end it as well
  std::printf("sent: %d, received: %d, letters: %d, full at times: %s\n", sent, received, letters,
              refused > 0 ? "yes" : "no");
}

// A child takes three slots and is killed. They stay taken, until somebody who knows gives them back.
void lose_a_process(Pool& pool, int file, std::size_t bytes) {
  Pipe ready;
  ::pid_t const child = ::fork();
  if (child == 0) {
    Pool mine(fastalloc::ExternalStorage::attach(map(file, bytes)));
    for (int i = 0; i != 3; ++i) mine.allocate(i).release()->worker = ::getpid();
    ready.send(fastalloc::Key(1, 1));
    ::pause();
  }
  (void)ready.receive();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  std::printf("a process was killed; in use: %zu\n", pool.allocated());
  pool.for_each([&](Job& job) {
    if (job.worker == child) pool.adopt(&job).reset();
  });
  std::printf("its jobs are given back; in use: %zu\n", pool.allocated());
}

}  // namespace

int main() {
  constexpr std::size_t bytes = Pool::required_bytes(slots);
  int const file = shared_file(bytes);
  auto const span = map(file, bytes);

  {
    auto const early = Pool::try_create(fastalloc::ExternalStorage::attach(span));
    std::printf("before it is created: %s\n", early ? "a pool" : "no pool");
  }
  Pool pool(fastalloc::PoolConfig{.capacity = slots}, fastalloc::ExternalStorage(span));

  Pipe there, back;
  ::pid_t children[3];
  for (auto& child : children) {
    child = ::fork();
    if (child == 0) {
      auto const mine = map(file, bytes);
      ::_exit(mine.data() != span.data() ? work(mine, there, back) : 2);
    }
  }
  send_jobs(pool, there, back);
  ::close(there.ends[1]);
  for (::pid_t const child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    std::printf("a child ended: %s\n", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "well" : "badly");
  }
  std::printf("in use: %zu of %zu\n", pool.allocated(), pool.capacity());

  // What does not fit is refused, with what differs.
  using Other = fastalloc::FixedPool<double, fastalloc::ExternalStorage, fastalloc::LockFree, fastalloc::Generations,
                                     fastalloc::DebugChecks>;
  std::printf("%s\n", Other::try_create(fastalloc::ExternalStorage::attach(span)).error().message());

  lose_a_process(pool, file, bytes);
}
