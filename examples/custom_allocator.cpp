// SPDX-License-Identifier: MIT OR Apache-2.0
// Policies of one's own: a slot allocator, a storage and a lock. A pool takes them in any order after T, and the
// concepts say what each must have (slots/slot_allocator.hpp, storage/storage.hpp, lock/lock.hpp).
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <new>
#include <utility>
#include <vector>

namespace {

// Slots: returned slots wait in a queue, the oldest is handed out first. A slot so stays unused as long as possible,
// which gives stale pointers time to be noticed (by AddressSanitizer, or by the fill of DebugChecks).
//
// The pool deals with untouched slots, counts, growth and statistics; an allocator keeps nothing but the returned
// slots.
struct QuarantineAllocator {
  template <class Shape> class Slots {
   public:
    static constexpr bool growing = Shape::growing;
    static constexpr bool keeps_last_freed = false;  // no shortcut for the slot returned last: it is to come last

    // Bytes to keep account of that many slots: here their addresses.
    static constexpr std::size_t metadata_bytes(std::size_t slots, std::size_t) noexcept {
      return slots * sizeof(std::byte*);
    }

    // The pool has memory for us. A pool that grows calls this again, with more memory and slots still in the queue:
    // they move over, the oldest first. (To allow shrink_to_fit, too, an allocator has erase_if: see the concept
    // ErasableSlots.)
    void bind(std::byte* memory, fastalloc::Blocks<growing> const& blocks) noexcept {
      auto** const ring = reinterpret_cast<std::byte**>(memory);
      std::size_t n = 0;
      for_each([&](std::byte* slot) { ring[n++] = slot; }, blocks);
      ring_ = ring;
      first_ = 0;
      room_ = 0;
      for (std::size_t b = 0; b != blocks.count(); ++b) room_ += blocks[b].slot_count;
    }

    std::byte* pop(fastalloc::Blocks<growing> const&) noexcept {
      if (size_ == 0) return nullptr;
      std::byte* const slot = ring_[first_];
      first_ = next(first_);
      --size_;
      return slot;
    }

    void push(std::byte* slot, fastalloc::Blocks<growing> const&) noexcept {
      std::size_t const end = first_ + size_;
      ring_[end < room_ ? end : end - room_] = slot;
      ++size_;
    }

    std::size_t size() const noexcept { return size_; }

    template <class F> void for_each(F&& f, fastalloc::Blocks<growing> const&) const {
      for (std::size_t i = 0, at = first_; i != size_; ++i, at = next(at)) f(ring_[at]);
    }

   private:
    std::size_t next(std::size_t at) const noexcept { return at + 1 == room_ ? 0 : at + 1; }

    std::byte** ring_ = nullptr;
    std::size_t room_ = 0;   // entries in ring_
    std::size_t first_ = 0;  // the oldest
    std::size_t size_ = 0;
  };
};

// A member that is missing or misspelt is reported here, not deep inside the pool.
static_assert(fastalloc::SlotAllocatorState<QuarantineAllocator::Slots<fastalloc::SlotShape<16, 8, true>>>);

// Storage: where blocks come from. Small enough to write for any arena; this one only keeps the books.
struct CountingStorage {
  static constexpr bool can_grow = true;
  inline static std::size_t bytes_in_use = 0;

  void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    void* const block = ::operator new(bytes, std::align_val_t{alignment}, std::nothrow);
    if (block != nullptr) bytes_in_use += bytes;
    return block;
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    bytes_in_use -= bytes;
    ::operator delete(block, std::align_val_t{alignment});
  }
};

// Lock: any type with lock() and unlock(). Never held while constructors, destructors or hooks run.
struct CountingLock {
  inline static int taken = 0;
  inline static int held = 0;
  void lock() noexcept { ++taken, ++held; }
  void unlock() noexcept { --held; }
};

struct Job {
  int number;
};

}  // namespace

int main() {
  std::printf("last in, first out:");
  fastalloc::FixedPool<Job> usual(4);
  for (int i = 0; i != 5; ++i) {
    auto const job = usual.allocate(i);
    std::printf(" slot %zu", usual.index_of(job));
  }

  std::printf("\nquarantine:        ");
  fastalloc::FixedPool<Job, QuarantineAllocator> careful(4);
  {
    auto const a = careful.allocate(0), b = careful.allocate(0), c = careful.allocate(0), d = careful.allocate(0);
  }  // all slots were used; from here on each waits until the others had their turn
  for (int i = 0; i != 5; ++i) {
    auto const job = careful.allocate(i);
    std::printf(" slot %zu", careful.index_of(job));
  }
  std::printf("\n");

  {
    // All at once, in a pool that grows. max_capacity bounds what our storage has to give.
    auto const config = fastalloc::PoolConfig{
        .capacity = 2, .max_capacity = 8, .growth_strategy = fastalloc::GrowthStrategy::exponential(2.0)};
    fastalloc::GrowingPool<Job, CountingStorage, QuarantineAllocator, CountingLock, fastalloc::BasicStats> pool(config);

    std::vector<decltype(pool)::handle_type> jobs;
    while (auto job = pool.try_allocate(7)) jobs.push_back(std::move(job));
    jobs.erase(jobs.begin() + 2, jobs.begin() + 5);
    jobs.push_back(pool.allocate(8));

    auto const statistics = pool.statistics();
    std::printf("%zu of %zu slots in use, peak %zu, grown %llu times\n", statistics.current_usage, statistics.capacity,
                statistics.peak_usage, static_cast<unsigned long long>(statistics.growth_count));
    std::printf("the lock was taken: %s, and is free again: %s\n", CountingLock::taken > 0 ? "yes" : "no",
                CountingLock::held == 0 ? "yes" : "no");
    std::printf("bytes in use while the pool lives: %s\n", CountingStorage::bytes_in_use > 0 ? "some" : "none");
  }
  std::printf("bytes in use afterwards: %zu\n", CountingStorage::bytes_in_use);

  // A storage says "no" by returning null; the pool turns that into an error that names the bytes.
  struct NoMemory : CountingStorage {
    void* acquire(std::size_t, std::size_t) noexcept { return nullptr; }
  };
  auto const refused = fastalloc::FixedPool<Job, NoMemory>::try_create({.capacity = 100});
  std::printf("%s\n", name(refused.error().code));
}
