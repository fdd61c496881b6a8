// SPDX-License-Identifier: MIT OR Apache-2.0
// A program to be recorded: recorded_program MODE. The objects that the tests look for have sizes from 900,000 on,
// which nothing else in the process has (small ones in the modes that allocate a lot: 900 to 999 bytes).
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t base = 900'000;

void every_function() {
  void* a = std::malloc(base + 1);
  void* b = std::calloc(9, (base + 9) / 9);
  a = std::realloc(a, base + 3);
  std::free(nullptr);
  void* c = nullptr;
  if (posix_memalign(&c, 256, base + 4) != 0) {
    std::exit(1);
  }
  void* d = std::aligned_alloc(4096, 4096 * 230);
  void* e = memalign(64, base + 6);
  void* f = valloc(base + 7);
  void* g = pvalloc(4096 * 231 - 1);
  void* h = std::realloc(nullptr, base + 10);
  void* i = reallocarray(nullptr, 11, (base + 20) / 11);
  void* j = ::operator new(base + 12);
  void* k = ::operator new(128 * 7040, std::align_val_t{128});
  char* const text = static_cast<char*>(std::malloc(base + 14));
  std::memset(text, 'x', base + 13);
  text[base + 13] = '\0';
  char* const copy = strdup(text);

  // Nothing of this takes effect.
  std::size_t volatile huge = PTRDIFF_MAX;
  std::size_t volatile wraps = SIZE_MAX / 2;
  void* nothing[] = {std::malloc(huge), std::realloc(h, huge), std::calloc(wraps, 4), std::aligned_alloc(64, huge),
                     reallocarray(nullptr, wraps, 4)};
  void* untouched = nullptr;
  int const error = posix_memalign(&untouched, 64, huge);
  for (void* const p : nothing) {
    if (p != nullptr || error == 0) {
      std::exit(1);
    }
  }

  std::free(copy);
  std::free(text);
  ::operator delete(k, std::align_val_t{128});
  ::operator delete(j);
  i = std::realloc(i, 0);
  for (void* const p : {i, h, g, f, e, d, c, b, a}) {
    std::free(p);
  }
}

// Two threads take turns; each frees what the other one allocated.
void two_threads() {
  std::atomic<int> turn{0};
  void* shared = nullptr;
  auto const work = [&](int own) {
    for (int round = own; round < 10; round += 2) {
      while (turn.load() != round) {
        std::this_thread::yield();
      }
      std::free(shared);
      shared = std::malloc(base + static_cast<std::size_t>(round));
      shared = std::realloc(shared, base + 100 + static_cast<std::size_t>(round));
      turn.store(round + 1);
    }
  };
  std::thread first(work, 0);
  std::thread second(work, 1);
  first.join();
  second.join();
  std::free(shared);
}

// Threads that exchange objects through shared places, end, and are followed by others.
void storm(int generations) {
  constexpr unsigned places = 64;
  static std::atomic<void*> shared[places];
  auto const work = [](unsigned seed) {
    for (int i = 0; i != 5'000; ++i) {
      seed = seed * 1664525 + 1013904223;
      std::size_t const size = 900 + (seed >> 16) % 100;
      void* p = (seed >> 8) % 3 == 0 ? std::calloc(1, size) : std::malloc(size);
      if ((seed >> 12) % 4 == 0) {
        p = std::realloc(p, 900 + (seed >> 20) % 100);
      }
      std::free(shared[(seed >> 26) % places].exchange(p));
    }
  };
  for (int generation = 0; generation != generations; ++generation) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i != 4; ++i) {
      threads.emplace_back(work, 4 * static_cast<unsigned>(generation) + i);
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  for (auto& place : shared) {
    std::free(place.exchange(nullptr));
  }
}

void allocate_often(int times) {
  for (int i = 0; i != times; ++i) {
    std::free(std::malloc(900 + static_cast<std::size_t>(i % 100)));
  }
}

void wait_for(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) {
    std::exit(1);
  }
}

void fork_once() {
  void* const p = std::malloc(base + 1);
  pid_t const child = fork();
  if (child == 0) {
    std::free(p);
    std::free(std::malloc(base + 2));
    _exit(0);
  }
  wait_for(child);
  std::free(std::malloc(base + 3));
  std::free(p);
}

void fork_while_threads_allocate() {
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i != 3; ++i) {
    threads.emplace_back([&] {
      while (!done) {
        allocate_often(100);
      }
    });
  }
  for (int i = 0; i != 20; ++i) {
    pid_t const child = fork();
    if (child == 0) {
      allocate_often(10);
      _exit(0);
    }
    wait_for(child);
  }
  done = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// As a server does that becomes a daemon: another folder, no descriptors but its own.
void become_daemon() {
  if (chdir("/") != 0) {
    std::exit(1);
  }
  for (int descriptor = 3; descriptor != 256; ++descriptor) {
    close(descriptor);
  }
  allocate_often(100'000);
}

void fill_the_disk() {
  signal(SIGXFSZ, SIG_IGN);
  rlimit const limit{200'000, 200'000};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
    std::exit(1);
  }
  allocate_often(100'000);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view const mode = argc == 2 ? argv[1] : "";
  if (mode == "every") {
    every_function();
  } else if (mode == "threads") {
    two_threads();
  } else if (mode == "storm") {
    storm(3);
  } else if (mode == "fork") {
    fork_once();
  } else if (mode == "fork_threads") {
    fork_while_threads_allocate();
  } else if (mode == "daemon") {
    become_daemon();
  } else if (mode == "disk_full") {
    fill_the_disk();
  } else if (mode == "exec") {
    std::free(std::malloc(base + 1));
    char const* const missing[] = {"/no/such/program", nullptr};
    execv(missing[0], const_cast<char* const*>(missing));
    std::free(std::malloc(base + 2));
    char const* const again[] = {argv[0], "one", nullptr};
    execv(argv[0], const_cast<char* const*>(again));
  } else {
    void* volatile p = std::malloc(base + 1);
    if (mode == "exit") {
      std::exit(7);
    } else if (mode == "_exit") {
      _exit(7);
    } else if (mode == "quick_exit") {
      std::quick_exit(7);
    } else if (mode == "abort") {
      std::abort();
    } else if (mode == "kill") {
      raise(SIGKILL);
    }
    std::free(p);
  }
}
