// SPDX-License-Identifier: MIT OR Apache-2.0
// The sides of a comparison: malloc, our pools, memory resources, and nothing at all (what the loop itself costs). All
// run the same steps through tables of equally many functions, and write the first 8 bytes and the last byte of every
// object.
//
//                malloc             pools                                             nothing
//   allocate     malloc             the pool of the class: allocate, release          a fixed buffer
//   zeroed       calloc             the same, and memset of the requested size        the same
//   free         free               adopt, and let the handle go                      nothing
//   reallocate   realloc            nothing within a class, else a new object,        the same
//                                   memcpy of the smaller size, free of the old one
//
// Objects of the class `beyond` are malloc's on all sides. A resource is called as std::pmr containers call it: through
// std::pmr::memory_resource, with the bytes of the class; otherwise it works as the pools do.
#pragma once

#include "script.hpp"

#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <new>
#include <span>
#include <utility>

namespace fastalloc::trace {

inline void* checked(void* address) {
  if (address == nullptr) {
    throw std::bad_alloc();
  }
  return address;
}

inline void touch(void* address, std::uint64_t size) noexcept {
  auto* const bytes = static_cast<unsigned char*>(address);
  if (size >= 8) {
    std::memcpy(bytes, &size, 8);
  }
  if (size != 0) {
    bytes[size - 1] = 1;
  }
}

class MallocSide {
 public:
  explicit MallocSide(Script const&) noexcept {}

  template <std::size_t Class> void* allocate(std::uint64_t size) {
    return checked(std::malloc(static_cast<std::size_t>(size)));
  }
  template <std::size_t Class> void* allocate_zeroed(std::uint64_t size) {
    return checked(std::calloc(1, static_cast<std::size_t>(size)));
  }
  template <std::size_t Class> void free(void* address) noexcept { std::free(address); }
  void* allocate_aligned(std::uint64_t size, std::uint64_t alignment) {
    auto const multiple = (size + alignment - 1) / alignment * alignment;
    return checked(std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(multiple)));
  }
  void* reallocate(void* address, Step const& step) {
    return checked(std::realloc(address, std::max<std::size_t>(static_cast<std::size_t>(step.size), 1)));
  }
  static std::uint64_t touched(std::uint64_t size) noexcept { return size; }
};

template <std::size_t Bytes> struct alignas(16) Block {
  Block() noexcept {}  // leaves the bytes as they are, as malloc does
  unsigned char bytes[Bytes];
};

// The pools are globals, as in a program that knows its sizes; they are never destroyed, since the process ends first,
// perhaps with objects in them. Hence: one PoolSide a process.
class PoolSide {
 public:
  explicit PoolSide(Script const& script) { build(script, std::make_index_sequence<size_classes>()); }

  template <std::size_t Class> void* allocate(std::uint64_t size) {
    if constexpr (Class == beyond) {
      return heap_.allocate<Class>(size);
    } else {
      return pool<Class>().allocate().release();
    }
  }
  template <std::size_t Class> void* allocate_zeroed(std::uint64_t size) {
    if constexpr (Class == beyond) {
      return heap_.allocate_zeroed<Class>(size);
    } else {
      return std::memset(allocate<Class>(size), 0, static_cast<std::size_t>(size));
    }
  }
  template <std::size_t Class> void free(void* address) noexcept {
    if constexpr (Class == beyond) {
      heap_.free<Class>(address);
    } else {
      pool<Class>().adopt(static_cast<Block<class_bytes(Class)>*>(address)).reset();
    }
  }
  void* allocate_aligned(std::uint64_t size, std::uint64_t alignment) {
    return heap_.allocate_aligned(size, alignment);
  }
  void* reallocate(void* address, Step const& step);
  static std::uint64_t touched(std::uint64_t size) noexcept { return size; }

 private:
  template <std::size_t Class> using Pool = GrowingPool<Block<class_bytes(Class)>>;

  template <std::size_t Class> struct Storage {
    alignas(Pool<Class>) static inline std::byte bytes[sizeof(Pool<Class>)];
  };
  template <std::size_t Class> static Pool<Class>& pool() noexcept {
    return *std::launder(reinterpret_cast<Pool<Class>*>(Storage<Class>::bytes));
  }

  // A page of objects to begin with, but at least 4.
  template <std::size_t Class> static void build_one() {
    std::size_t const capacity = std::max<std::size_t>(4096 / class_bytes(Class), 4);
    ::new (Storage<Class>::bytes)
        Pool<Class>(PoolConfig{.capacity = capacity, .growth_strategy = GrowthStrategy::exponential(2.0)});
  }
  template <std::size_t... Class> static void build(Script const& script, std::index_sequence<Class...>) {
    ((script.uses(Class) ? build_one<Class>() : void()), ...);
  }

  MallocSide heap_{Script{}};
};

template <class Resource> class ResourceSide {
 public:
  explicit ResourceSide(Script const&) {
#if defined(__GNUC__)
    __asm__ volatile("" : "+r"(resource_));  // which resource it is is not known, as in a container
#endif
  }

  template <std::size_t Class> void* allocate(std::uint64_t size) {
    if constexpr (Class == beyond) {
      return heap_.allocate<Class>(size);
    } else {
      return resource_->allocate(class_bytes(Class), 16);
    }
  }
  template <std::size_t Class> void* allocate_zeroed(std::uint64_t size) {
    if constexpr (Class == beyond) {
      return heap_.allocate_zeroed<Class>(size);
    } else {
      return std::memset(allocate<Class>(size), 0, static_cast<std::size_t>(size));
    }
  }
  template <std::size_t Class> void free(void* address) noexcept {
    if constexpr (Class == beyond) {
      heap_.free<Class>(address);
    } else {
      resource_->deallocate(address, class_bytes(Class), 16);
    }
  }
  void* allocate_aligned(std::uint64_t size, std::uint64_t alignment) {
    return heap_.allocate_aligned(size, alignment);
  }
  void* reallocate(void* address, Step const& step);
  static std::uint64_t touched(std::uint64_t size) noexcept { return size; }

 private:
  Resource own_;
  std::pmr::memory_resource* resource_ = &own_;
  MallocSide heap_{Script{}};
};

class NothingSide {
 public:
  explicit NothingSide(Script const&) noexcept {}

  template <std::size_t Class> void* allocate(std::uint64_t) noexcept { return buffer_; }
  template <std::size_t Class> void* allocate_zeroed(std::uint64_t) noexcept { return buffer_; }
  template <std::size_t Class> void free(void*) noexcept {}
  void* allocate_aligned(std::uint64_t, std::uint64_t) noexcept { return buffer_; }
  void* reallocate(void* address, Step const&) noexcept { return address; }
  static std::uint64_t touched(std::uint64_t size) noexcept { return std::min<std::uint64_t>(size, sizeof(buffer_)); }

 private:
  alignas(64) unsigned char buffer_[32768];
};

// ---- the loop

template <class Side> struct Run {
  Side& side;
  void** objects;  // by place
};

template <class Side> using Handler = void (*)(Run<Side>&, Step const&);

// Keeps the functions of different classes apart: a compiler that merges equal ones would give one side fewer targets.
template <std::size_t Class> inline void keep_apart() noexcept {
#if defined(__GNUC__)
  __asm__ volatile("" : : "i"(Class));
#endif
}

template <class Side, std::size_t Class, Action What> void handle(Run<Side>& run, Step const& step) {
  keep_apart<Class>();
  void*& object = run.objects[step.place];
  if constexpr (What == Action::free) {
    run.side.template free<Class>(object);
  } else {
    if constexpr (What == Action::allocate) {
      object = run.side.template allocate<Class>(step.size);
    } else if constexpr (What == Action::allocate_zeroed) {
      object = run.side.template allocate_zeroed<Class>(step.size);
    } else if constexpr (What == Action::allocate_aligned) {
      object = run.side.allocate_aligned(step.size, step.extra);
    } else {
      object = run.side.reallocate(object, step);
    }
    touch(object, Side::touched(step.size));
  }
}

template <class Side, std::size_t... Class> constexpr auto make_handlers(std::index_sequence<Class...>) noexcept {
  std::array<Handler<Side>, handler_count> table{};
  ((table[handler_index(Action::allocate, Class)] = handle<Side, Class, Action::allocate>,
    table[handler_index(Action::allocate_zeroed, Class)] = handle<Side, Class, Action::allocate_zeroed>,
    table[handler_index(Action::free, Class)] = handle<Side, Class, Action::free>),
   ...);
  table[handler_index(Action::allocate_aligned, 0)] = handle<Side, beyond, Action::allocate_aligned>;
  table[handler_index(Action::reallocate, 0)] = handle<Side, beyond, Action::reallocate>;
  return table;
}
template <class Side>
inline constexpr auto handlers = make_handlers<Side>(std::make_index_sequence<size_classes + 1>());

template <class Side> void replay(Run<Side>& run, std::span<Step const> steps) {
  for (Step const& step : steps) {
    handlers<Side>[step.handler](run, step);
  }
}

// Nothing within a class, else a new object, the bytes of the smaller size, and the end of the old one.
template <class Side> void* reallocate_by_class(Side& side, MallocSide& heap, void* address, Step const& step) {
  if (step.size_class == step.before_class) {
    return step.size_class == beyond ? heap.reallocate(address, step) : address;
  }
  void* objects[] = {nullptr, address};
  Run<Side> run{side, objects};
  Step part = step;
  part.place = 0;
  handlers<Side>[handler_index(Action::allocate, step.size_class)](run, part);
  std::memcpy(objects[0], address, static_cast<std::size_t>(std::min(step.size, step.extra)));
  part.place = 1;
  handlers<Side>[handler_index(Action::free, step.before_class)](run, part);
  return objects[0];
}
inline void* PoolSide::reallocate(void* address, Step const& step) {
  return reallocate_by_class(*this, heap_, address, step);
}
template <class Resource> void* ResourceSide<Resource>::reallocate(void* address, Step const& step) {
  return reallocate_by_class(*this, heap_, address, step);
}

}  // namespace fastalloc::trace
