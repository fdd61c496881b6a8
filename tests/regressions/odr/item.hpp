// SPDX-License-Identifier: MIT OR Apache-2.0
// Files that are compiled with different NDEBUG and FASTALLOC_CHECKED share one T, erased handles, errors and
// exceptions.
#pragma once

#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cstdint>

struct Item {
  explicit Item(std::uint64_t v) : value(v) { ++live; }
  Item(Item const&) = delete;
  Item& operator=(Item const&) = delete;
  ~Item() {
    value = 0;
    --live;
  }
  std::uint64_t value;
  static inline int live = 0;
};

/// A class that all files see alike, with pools as members: its type does not tell how they were compiled.
struct Server {
  Server() {}  // each file begins and ends the pools itself
  ~Server() {}
  Server(Server const&) = delete;
  Server& operator=(Server const&) = delete;
  union {
    fastalloc::FixedPool<std::uint64_t> fixed;
  };
  union {
    fastalloc::FixedPool<std::uint64_t, fastalloc::FreeListAllocator> list;
  };
  union {
    fastalloc::GrowingPool<std::uint64_t, fastalloc::FreeListAllocator> growing;
  };
  union {
    fastalloc::FixedPool<std::uint64_t, fastalloc::BitmapAllocator, fastalloc::FullChecks> named;
  };
};

/// Classes with a pool each for the whole program, whichever file makes it. They name their checks policy.
struct Sprite : fastalloc::Pooled<Sprite, fastalloc::NoLock, fastalloc::NoChecks> {
  std::uint64_t value = 3;
};
struct Sound : fastalloc::Pooled<Sound, fastalloc::FullChecks> {  // threads may share it
  std::uint64_t value = 4;
};

/// What each of the files offers under a name of its own.
struct File {
  char const* name;
  bool checked;
  fastalloc::Handle<Item> (*allocate)(std::uint64_t);
  std::uint64_t (*consume)(fastalloc::Handle<Item>);
  std::size_t (*allocated)();
  void (*overflow)();  ///< allocates from a full pool: throws PoolExhausted
  bool (*catches)(void (*)());
  bool (*release_twice)();  ///< true when that was noticed
  void (*begin)(Server&);
  void (*end)(Server&);
  std::uint64_t* (*pop)(Server&, int pool);
  void (*push)(Server&, int pool, std::uint64_t* object);
  Sprite* (*make_sprite)();
  void (*kill_sprite)(Sprite*);
  Sound* (*make_sound)();
  void (*kill_sound)(Sound*);
  void const* (*list_lock)();  ///< of the PoolRegistry
};

extern File const checked_file;
extern File const unchecked_file;
extern File const ndebug_file;
