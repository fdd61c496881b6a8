// SPDX-License-Identifier: MIT OR Apache-2.0
// Sessions of a server, named by an id of 8 bytes: threads turn ids into owners while others close the sessions.
//
// The id is a key of the pool. lock(id) returns an owner, or none if the session is closed: never another session that
// has the slot by now. A callback of a C library holds an owner as void*. A request for one session too many ends the
// oldest idle one. All pools of the program are in one list, for the operators.
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>

#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Session {
  std::string user;
  int requests = 0;
};

using Sessions =
    fastalloc::ThreadSafePool<Session, fastalloc::AtomicShared, fastalloc::Generations, fastalloc::AtomicStats,
                              fastalloc::Registered, fastalloc::Evict<std::function<bool()>>>;

/// Stands for a C library: it keeps user data for a callback.
void* user_data = nullptr;

}  // namespace

int main() {
  std::vector<fastalloc::SharedHandle<Session>> idle;  // the oldest first
  Sessions sessions(fastalloc::PoolConfig{.capacity = 3, .name = "sessions"}, fastalloc::evict(std::function([&] {
                      if (idle.empty()) return false;
                      std::printf("closed the idle session of %s\n", idle.front()->user.c_str());
                      idle.erase(idle.begin());
                      return true;
                    })));
  auto const open = [&](char const* user) {
    idle.push_back(sessions.allocate(user).share());
    return sessions.key(idle.back().get());
  };

  fastalloc::Key const ann = open("Ann"), bob = open("Bob");
  open("Cem");
  // Threads know ids only.
  std::vector<std::thread> workers;
  for (fastalloc::Key const id : {ann, bob})
    workers.emplace_back([&sessions, id] {
      if (auto const session = sessions.lock(id)) session->requests += 10;
    });
  for (std::thread& worker : workers) worker.join();
  std::printf("Ann made %d requests\n", sessions.lock(ann)->requests);

  // An owner goes through a void*, and comes back.
  user_data = sessions.lock(bob).release();
  open("Dan");  // the pool is full: Ann goes
  open("Eve");  // Bob is next, but the library keeps him: Cem goes, too
  auto const back = sessions.adopt_shared(static_cast<Session*>(user_data));
  std::printf("Ann is %s, Bob is %s\n", sessions.lock(ann) ? "here" : "gone", back->user.c_str());

  fastalloc::PoolRegistry::for_each([](fastalloc::PoolInfo const& pool) {
    std::printf("%s: %zu of %zu\n", pool.name.c_str(), pool.statistics.current_usage, pool.statistics.capacity);
  });
  idle.clear();  // before the pool ends
}
