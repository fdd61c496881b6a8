// SPDX-License-Identifier: MIT OR Apache-2.0
// The memory of a C library from a pool: CAllocator behind the library's hooks, which free without a size.
//
// Use it for SQLite (sqlite3_config), libpng, stb (STBI_MALLOC), Box2D (b2SetAllocator), zlib, and for code of your own
// that calls malloc() and free(). Hooks without a user pointer get the functions of CHooks<memory>; hooks with one get
// lambdas. The size lies in 8 or 16 bytes in front of each block. A library that passes the size when it frees, as
// Lua does, is served without them by try_reallocate().
#include <fastalloc/adapters/c_allocator.hpp>

#include <cstdio>
#include <cstring>

// ---- A stand-in for a C library: a list of strings. Its memory comes from hooks.
extern "C" {

typedef struct Hooks {
  void* (*get)(size_t bytes);
  void* (*again)(void* block, size_t bytes);
  void (*put)(void* block);
} Hooks;

typedef struct Lines {
  char** line;
  size_t count;
  size_t room;
} Lines;

static Hooks hooks;

static void lines_set_memory(Hooks chosen) { hooks = chosen; }

/// Returns: 0 if there is no memory; the list is unchanged then.
static int lines_add(Lines* lines, char const* text) {
  if (lines->count == lines->room) {
    size_t const room = lines->room == 0 ? 4 : 2 * lines->room;
    void* const more = hooks.again(lines->line, room * sizeof *lines->line);
    if (more == NULL) return 0;
    lines->line = static_cast<char**>(more);
    lines->room = room;
  }
  void* const copy = hooks.get(strlen(text) + 1);
  if (copy == NULL) return 0;
  lines->line[lines->count++] = strcpy(static_cast<char*>(copy), text);
  return 1;
}

static void lines_end(Lines* lines) {
  for (size_t i = 0; i != lines->count; ++i) hooks.put(lines->line[i]);
  hooks.put(lines->line);
  memset(lines, 0, sizeof *lines);
}

/// Another library's hook, with a user pointer and the old size, as lua_Alloc.
typedef void* (*Renew)(void* user, void* block, size_t old_bytes, size_t bytes);

static size_t sum_of_squares(Renew renew, void* user, size_t n) {
  size_t* squares = NULL;
  for (size_t i = 0; i != n; ++i) {
    squares = static_cast<size_t*>(renew(user, squares, i * sizeof *squares, (i + 1) * sizeof *squares));
    if (squares == NULL) return 0;
    squares[i] = i * i;
  }
  size_t sum = 0;
  for (size_t i = 0; i != n; ++i) sum += squares[i];
  renew(user, squares, n * sizeof *squares, 0);
  return sum;
}

}  // extern "C"

namespace {

// A budget: 64 KiB, and no more. Without one: `fastalloc::CAllocator<> memory;` owns its resource.
alignas(64) std::byte region[64 << 10];
class Budget final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    std::size_t const begin = (used_ + alignment - 1) / alignment * alignment;
    if (begin <= sizeof region && bytes <= sizeof region - begin) {
      used_ = begin + bytes;
      return region + begin;
    }
#if FASTALLOC_EXCEPTIONS
    throw std::bad_alloc();
#else
    return nullptr;
#endif
  }
  void do_deallocate(void*, std::size_t, std::size_t) override {}  // the pools keep what they have
  [[nodiscard]] bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }

  std::size_t used_ = 0;
};
Budget budget;
fastalloc::SynchronizedPoolResource resource(&budget);  // the library may be used by any thread
fastalloc::CAllocator<fastalloc::SynchronizedPoolResource> memory(resource);

}  // namespace

int main() {
  using Memory = fastalloc::CHooks<memory>;
  lines_set_memory({Memory::malloc, Memory::realloc, Memory::free});

  Lines lines{};
  for (char const* const text : {"pools", "behind", "C functions"}) lines_add(&lines, text);
  for (size_t i = 0; i != lines.count; ++i) std::printf("%s%s", i == 0 ? "" : " ", lines.line[i]);
  std::printf("\nthe list lies in the pool: %s\n", resource.owns(lines.line) ? "yes" : "no");

  // The upstream's std::bad_alloc becomes null: no exception passes through C.
  while (lines_add(&lines, "one more line") != 0) {}
  std::printf("a full budget: lines_add() returns 0, and the %s lines are still there: %s\n",
              lines.count > 100 ? "many" : "few",
              std::strcmp(lines.line[lines.count - 1], "one more line") == 0 ? "yes" : "no");
  lines_end(&lines);
  std::printf("in use after lines_end(): %zu bytes\n", resource.bytes_in_use());

  fastalloc::PoolResource numbers;
  Renew const renew = [](void* user, void* block, size_t old_bytes, size_t bytes) -> void* {
    auto& pool = *static_cast<fastalloc::PoolResource*>(user);
    if (bytes != 0) return pool.try_reallocate(block, old_bytes, bytes);
    if (block != nullptr) pool.deallocate(block, old_bytes);
    return nullptr;
  };
  std::printf("sum of squares below 100: %zu\n", sum_of_squares(renew, &numbers, 100));
  std::printf("in use: %zu bytes\n", numbers.bytes_in_use());
}
