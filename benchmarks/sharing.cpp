// SPDX-License-Identifier: MIT OR Apache-2.0
// Shared and weak handles against std::shared_ptr and std::weak_ptr: a copy that is dropped again, a lock that is
// dropped again, and the whole life of an object with one owner.
#include "ownership.hpp"
#include "subject.hpp"

#include <fastalloc/fastalloc.hpp>

#include <memory>

namespace bench::ownership {
namespace {

using fastalloc::AtomicShared;
using fastalloc::FixedPool;
using fastalloc::Shared;
using fastalloc::ThreadSafePool;

template <class Owner> void copy_and_drop(benchmark::State& state, Owner const& owner) {
  for (auto _ : state) {
    Owner const copy = owner;
    escape(&copy);
  }
}

template <class Weak> void lock_and_drop(benchmark::State& state, Weak const& weak) {
  for (auto _ : state) {
    auto const locked = weak.lock();
    escape(&locked);
  }
}

template <class Make> void make_and_drop(benchmark::State& state, Make&& make) {
  std::uint64_t value = 0;
  for (auto _ : state) {
    auto const owner = make(++value);
    escape(&owner);
  }
}

template <class Pool> void add_pool(Threads threads, std::string const& name, bool copies) {
  if (copies) {
    add(threads, "copy and drop an owner", "SharedHandle, " + name, [](benchmark::State& state) {
      Pool pool(4);
      copy_and_drop(state, pool.allocate(1U).share());
    });
    add(threads, "lock a weak one, and drop", "WeakHandle, " + name, [](benchmark::State& state) {
      Pool pool(4);
      auto const owner = pool.allocate(1U).share();
      lock_and_drop(state, owner.downgrade());
    });
  }
  add(threads, "make an object with one owner, and drop it", "allocate().share(), " + name,
      [](benchmark::State& state) {
        Pool pool(4);
        make_and_drop(state, [&](std::uint64_t value) { return pool.allocate(value).share(); });
      });
}

void add_standard(Threads threads) {
  add(threads, "copy and drop an owner", "std::shared_ptr",
      [](benchmark::State& state) { copy_and_drop(state, std::make_shared<Object>(1U)); });
  add(threads, "lock a weak one, and drop", "std::weak_ptr", [](benchmark::State& state) {
    auto const owner = std::make_shared<Object>(1U);
    lock_and_drop(state, std::weak_ptr<Object>(owner));
  });
  add(threads, "make an object with one owner, and drop it", "std::make_shared", [](benchmark::State& state) {
    make_and_drop(state, [](std::uint64_t value) { return std::make_shared<Object>(value); });
  });
}

}  // namespace

void add_sharing() {
  for (Threads const threads : {Threads::one, Threads::two}) {
    add_standard(threads);
    add_pool<FixedPool<Object, Shared>>(threads, "FixedPool, Shared", true);
    add_pool<FixedPool<Object, AtomicShared>>(threads, "FixedPool, AtomicShared", true);
    add_pool<ThreadSafePool<Object, AtomicShared>>(threads, "ThreadSafePool, AtomicShared", false);
  }
}

}  // namespace bench::ownership
