// SPDX-License-Identifier: MIT OR Apache-2.0
// Our pools and locks.
#include "pooled.hpp"
#include "pools.hpp"
#include "thread_workloads.hpp"

namespace bench {
namespace {

template <class... Policies> void add_shared(std::string const& policies) {
  add_thread_cases<Ours<fastalloc::ThreadSafePool<Object, Policies...>>>("ThreadSafePool" + policies);
}

}  // namespace

void add_thread_pool_cases() {
  using namespace fastalloc;
  add_shared<>("");
  add_shared<AtomicStats>(", AtomicStats");
  add_shared<NoCache, AdaptiveLock>(", NoCache, AdaptiveLock");
  add_shared<NoCache, SpinLock>(", NoCache, SpinLock");
  add_shared<NoCache, MutexLock>(", NoCache, MutexLock");
  add_shared<LockFree>(", LockFree");
  add_thread_cases<PooledNew<>>("new, Pooled");
  add_local<Ours<ThreadLocalPool<Object>>, 1, 2, 4, 8, 16>("ThreadLocalPool");
  add_lock<AdaptiveLock>("AdaptiveLock");
  add_lock<SpinLock>("SpinLock");
  add_thread_cases<Ours<FixedPool<Object, MutexLock>>>("FixedPool, MutexLock");
  add_local<Ours<FixedPool<Object>>, 1>("FixedPool");
}

}  // namespace bench
