// SPDX-License-Identifier: MIT OR Apache-2.0
// CAllocator<Resource>: malloc(), realloc(), free() and their like over a PoolResource, for C libraries that take an
// allocator as function pointers and free without a size: SQLite, zlib, libpng, stb, Box2D.
//
//   | front - 8 bytes | word | the user's bytes |     word == bytes << 6 | log2(front); the block is aligned to front;
//                                                     bytes == usable_size()
//
// front is 8 for up to 8 bytes, else 16, or the alignment that aligned_alloc() was given. A library that passes the
// size when it frees (Lua) needs no word: give it PoolResource::try_reallocate() and deallocate().
//
//   CAllocator<> memory;                                  // owns a PoolResource
//   sqlite3_mem_methods: CHooks<memory>::malloc, ...      // functions of a static allocator, as C function pointers
//   zlib: stream.opaque = &memory;                        // hooks with a user pointer: a lambda
//         stream.zalloc = [](void* user, unsigned n, unsigned size) {
//           return static_cast<CAllocator<>*>(user)->calloc(n, size);
//         };
#pragma once

#include <fastalloc/adapters/pool_resource.hpp>

#include <optional>

namespace fastalloc::inline FASTALLOC_MODE {

/// When to use: C code with hooks for its memory. Size: that of the resource, used or not, and two words; 8 bytes in
/// front of each block of up to 8 bytes, 16 in front of others, the alignment in front of over-aligned ones.
/// No exception leaves a function: failures are null. Misuse is noticed as by PoolResource::deallocate(), which sees
/// the block's size as the word says it; a write in front of a block damages the word.
/// Thread safety: that of the resource. `Resource` is PoolResource or SynchronizedPoolResource.
template <class Resource> class CAllocator {
  static_assert(
      requires { Resource::is_checked; },
      "fastalloc: CAllocator takes PoolResource, or SynchronizedPoolResource for several threads; give it "
      "another memory resource as its upstream");

 public:
  using resource_type = Resource;

  /// Effects: creates a resource of its own, over std::pmr::get_default_resource(). The allocator's end releases all
  /// memory, freed or not.
  CAllocator() : resource_(&own_.emplace()) {}
  /// Requires: `resource` outlives this allocator and all memory taken from it.
  explicit CAllocator(Resource& resource) noexcept : resource_(&resource) {}
  CAllocator(CAllocator const&) = delete;
  CAllocator& operator=(CAllocator const&) = delete;

  [[nodiscard]] Resource& resource() const noexcept { return *resource_; }

  /// Returns: `bytes` bytes, aligned for every type of that size; a distinct address even for 0 bytes; null if there is
  /// no memory. Complexity: as PoolResource::allocate().
  [[nodiscard]] void* malloc(std::size_t bytes) noexcept { return take(bytes, front_for(bytes)); }
  /// Returns: n * bytes bytes, all 0; null if there is no memory, or the product is too large.
  [[nodiscard]] void* calloc(std::size_t n, std::size_t bytes) noexcept {
    std::size_t whole = 0;
    if (!detail::checked_multiply(n, bytes, whole)) return nullptr;
    void* const p = malloc(whole);
    if (p != nullptr) std::memset(p, 0, whole);
    return p;
  }
  /// Effects: makes the block one of `bytes` bytes with the same contents, up to the smaller size, and with the same
  /// alignment. Null `p`: malloc(bytes). 0 bytes: free(p), and returns null, as in glibc.
  /// Returns: the block, which nothing moves up to usable_size(p); null if there is no memory, and `p` is unchanged.
  [[nodiscard]] void* realloc(void* p, std::size_t bytes) noexcept {
    if (p == nullptr) return malloc(bytes);
    if (bytes == 0) return free(p), nullptr;
    Block const old = block_of(p);
    if (old.front < front_for(bytes)) {  // above 8 bytes the alignment is another one
      void* const moved = malloc(bytes);
      if (moved == nullptr) return nullptr;
      std::memcpy(moved, p, old.bytes);
      return free(p), moved;
    }
    if (!fits(bytes, old.front)) return nullptr;
    void* const start = resource_->try_reallocate(old.start, old.front + old.bytes, old.front + bytes, old.front);
    return start == nullptr ? nullptr : sealed(start, bytes, old.front);
  }
  /// Effects: frees a block of any of these functions; null does nothing.
  void free(void* p) noexcept {
    if (p == nullptr) return;
    Block const old = block_of(p);
    resource_->deallocate(old.start, old.front + old.bytes, old.front);
  }
  /// Returns: `bytes` bytes, which need not be a multiple of `alignment`; null if that is not a power of two, or there
  /// is no memory. Above 64 bytes of alignment every block is one of the upstream resource.
  [[nodiscard]] void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    if (!std::has_single_bit(alignment)) return nullptr;
    return take(bytes, (std::max)(alignment, front_for(bytes)));
  }
  /// Returns: the bytes that may be used behind `p`, at least those requested; 0 for null. With AddressSanitizer
  /// exactly those, so that it finds writes behind them.
  [[nodiscard]] std::size_t usable_size(void const* p) const noexcept { return p == nullptr ? 0 : block_of(p).bytes; }
  /// Returns: the bytes to request instead of `bytes`, so that none is wasted.
  [[nodiscard]] static constexpr std::size_t good_size(std::size_t bytes) noexcept {
    std::size_t const front = front_for(bytes);
    return fits(bytes, front) ? Resource::usable_size(front + bytes, front) - front : bytes;
  }

 private:
  struct Block {
    void* start;
    std::size_t front;
    std::size_t bytes;
  };
  static constexpr int front_bits = 6;
  /// bytes; what an object may have, and what the word has room for
  static constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)() / 2 >> (sizeof(void*) >= 8 ? 6 : 0);

  static constexpr std::size_t front_for(std::size_t bytes) noexcept { return bytes <= 8 ? 8 : 16; }
  static constexpr bool fits(std::size_t bytes, std::size_t front) noexcept {
    return front <= most && bytes <= most - front;
  }
  FASTALLOC_ALWAYS_INLINE void* take(std::size_t bytes, std::size_t front) noexcept {
    if (!fits(bytes, front)) [[unlikely]]
      return nullptr;
    void* const start = resource_->try_allocate(front + bytes, front);
    return start == nullptr ? nullptr : sealed(start, bytes, front);
  }
  static void* sealed(void* start, std::size_t bytes, std::size_t front) noexcept {
    auto* const p = static_cast<std::byte*>(start) + front;
    // Libraries ask for the usable size more often than they allocate.
    std::size_t const usable = FASTALLOC_ASAN ? bytes : Resource::usable_size(front + bytes, front) - front;
    std::uint64_t const word = std::uint64_t{usable} << front_bits | static_cast<unsigned>(std::countr_zero(front));
    std::memcpy(p - sizeof word, &word, sizeof word);
    return p;
  }
  static Block block_of(void const* p) noexcept {
    auto* const at = static_cast<std::byte*>(const_cast<void*>(p));
    std::uint64_t word = 0;
    std::memcpy(&word, at - sizeof word, sizeof word);
    std::size_t const front = std::size_t{1} << (word & (sizeof(std::size_t) * 8 - 1));
    return {at - front, front, static_cast<std::size_t>(word >> front_bits)};
  }
  std::optional<Resource> own_;
  Resource* resource_;
};

CAllocator() -> CAllocator<>;

/// The functions of an allocator of static storage duration as static functions, for C function pointers. Requires: the
/// allocator is a CAllocator that lives longer than all memory taken from it.
///   library_set_allocator(CHooks<memory>::malloc, CHooks<memory>::realloc, CHooks<memory>::free);
template <auto& Allocator> struct CHooks {
  static void* malloc(std::size_t bytes) noexcept { return Allocator.malloc(bytes); }
  static void* calloc(std::size_t n, std::size_t bytes) noexcept { return Allocator.calloc(n, bytes); }
  static void* realloc(void* p, std::size_t bytes) noexcept { return Allocator.realloc(p, bytes); }
  static void free(void* p) noexcept { Allocator.free(p); }
  static void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    return Allocator.aligned_alloc(alignment, bytes);
  }
  static std::size_t usable_size(void* p) noexcept { return Allocator.usable_size(p); }
};

}  // namespace fastalloc::inline FASTALLOC_MODE
