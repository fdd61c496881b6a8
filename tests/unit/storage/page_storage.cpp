// SPDX-License-Identifier: MIT OR Apache-2.0
// PageStorage: what it maps and gives back, every option, and every way in which a system can refuse one, each brought
// about for real: by limits, by privileges dropped, by numbers that no system has, and by filters that let a system
// call fail.
#include <fastalloc/fastalloc.hpp>

#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/expect.hpp"
#include "support/seccomp.hpp"

#if defined(__linux__)

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace fastalloc;

namespace {

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = 1024 * kibibyte;
constexpr std::size_t huge = 2 * mebibyte;
std::size_t const page = detail::page_size();

struct Item {
  std::uint64_t words[8];
};
struct alignas(16384) Wide {
  std::uint64_t word;
};

// For children of a fork, whose Catch2 nobody hears.
#define NEED(...) need(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __LINE__)
void need(bool ok, char const* text, int line) {
  if (ok) return;
  std::fprintf(stderr, "line %d: %s\n", line, text);
  ::_exit(1);
}
template <class F> void check_in_child(F&& f) {
  test::Ending const ending = test::run_in_child(f);
  INFO(ending.errors);
  CHECK(ending.survived);
}

constexpr bool is_64_bit = sizeof(std::size_t) == 8;
constexpr std::size_t power_of_two(int exponent_64, int exponent_32) {
  return std::size_t{1} << (is_64_bit ? exponent_64 : exponent_32);
}

void skip(char const* why) { WARN("skipped: " << why); }

bool says(Error const& error, char const* part) { return std::strstr(error.message(), part) != nullptr; }

/// The process's mappings, in bytes. Asks the heap for nothing, which may be mapped, too.
std::size_t mapped_bytes() {
  static char text[512 * 1024];
  int const file = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  std::size_t size = 0;
  for (::ssize_t n; size + 1 < sizeof text && (n = ::read(file, text + size, sizeof text - 1 - size)) > 0;)
    size += static_cast<std::size_t>(n);
  ::close(file);
  text[size] = '\0';
  std::size_t sum = 0;
  for (char const* line = text; line != nullptr && *line != '\0';) {
    char* end = nullptr;
    unsigned long const first = std::strtoul(line, &end, 16);
    sum += std::strtoul(end + 1, nullptr, 16) - first;
    line = std::strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return sum;
}

/// The value of "<key> <value> kB" in a file of /proc/self, for the mapping of `address` in smaps; in bytes.
[[maybe_unused]] std::size_t proc_bytes(char const* file_name, char const* key, void const* address = nullptr) {
  std::FILE* const file = std::fopen(file_name, "r");
  if (file == nullptr) return 0;
  char line[512];
  bool here = address == nullptr;
  unsigned long value = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long first = 0;
    unsigned long last = 0;
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    if (address != nullptr && std::sscanf(line, "%lx-%lx ", &first, &last) == 2) here = first <= at && at < last;
    if (here && std::strncmp(line, key, std::strlen(key)) == 0)
      value = std::strtoul(line + std::strlen(key), nullptr, 10);
  }
  std::fclose(file);
  return value * kibibyte;
}
/// True when the mapping of `address` has the flag of two letters.
bool has_vm_flag(void const* address, char const* flag) {
  std::FILE* const file = std::fopen("/proc/self/smaps", "r");
  if (file == nullptr) return false;
  char line[512];
  bool here = false;
  bool found = false;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long first = 0;
    unsigned long last = 0;
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    if (std::sscanf(line, "%lx-%lx ", &first, &last) == 2) here = first <= at && at < last;
    if (here && std::strncmp(line, "VmFlags:", 8) == 0) found = std::strstr(line, flag) != nullptr;
  }
  std::fclose(file);
  return found;
}

bool is_mapped(void* pages, std::size_t bytes) {
  std::vector<unsigned char> in_core((bytes + page - 1) / page);
  return ::mincore(pages, bytes, in_core.data()) == 0;
}
std::size_t resident_pages(void* pages, std::size_t bytes) {
  std::vector<unsigned char> in_core((bytes + page - 1) / page);
  if (::mincore(pages, bytes, in_core.data()) != 0) return 0;
  std::size_t count = 0;
  for (unsigned char const each : in_core) count += each & 1;
  return count;
}
void* page_of(void const* p) { return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(p) / page * page); }
bool is_aligned(void const* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

/// No privilege, and so many bytes may be locked. True when that worked.
[[maybe_unused]] bool limit_locking(std::size_t bytes) {
  struct rlimit const limit{bytes, bytes};
  if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
  return ::getuid() != 0 || ::setuid(65534) == 0;  // an ordinary user: CAP_IPC_LOCK goes with root
}
/// False where this process may lock next to nothing.
[[maybe_unused]] bool may_lock(std::size_t bytes) {
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bool const locked = ::mlock(pages, bytes) == 0;
  ::munmap(pages, bytes);
  return locked;
}

}  // namespace

TEST_CASE("page storage: reserve_only takes address space without memory") {
  constexpr std::size_t much = power_of_two(40, 30);
  PageStorage storage(PageOptions{.huge_pages = HugePages::none, .reserve_only = true});
  for (std::size_t const alignment : {std::size_t{64}, std::size_t{16384}}) {
    void* const block = storage.acquire(much, alignment);  // on 64 bits more than the machine has
    REQUIRE(block != nullptr);
    auto* const bytes = static_cast<char volatile*>(block);
    bytes[0] = 1;
    bytes[much / 2] = 2;
    bytes[much - 1] = 3;
    CHECK(bytes[0] + bytes[much / 2] + bytes[much - 1] == 6);
    storage.release(block, much, alignment);
  }
  for (PageOptions const wrong :
       {PageOptions{.prefault = true, .reserve_only = true}, PageOptions{.lock_memory = true, .reserve_only = true},
        PageOptions{.huge_pages = HugePages::reserved, .reserve_only = true}}) {
    auto const pool = FixedPool<Item, PageStorage>::try_create(PoolConfig{.capacity = 100}, PageStorage{wrong});
    REQUIRE(!pool);
    CHECK(pool.error().code == ErrorCode::invalid_configuration);
    CHECK(std::string(pool.error().message()).find("reserve_only") != std::string::npos);
  }
}

TEST_CASE("page storage: blocks are whole pages, aligned, writable, and go back to the last byte") {
  for (HugePages const kind : {HugePages::none, HugePages::transparent, HugePages::reserved})
    for (std::size_t const alignment : {std::size_t{8}, page, 2 * page, 16 * page, huge, 4 * huge})
      for (std::size_t const bytes :
           {std::size_t{1}, page - 1, page, page + 1, 37 * page, huge - 1, huge, 2 * huge + 1}) {
        // No check before the last look: Catch2 asks the heap, which may grow.
        PageStorage storage{{.huge_pages = kind}};
        std::size_t const before = mapped_bytes();
        void* const block = storage.acquire(bytes, alignment);
        std::size_t const meanwhile = mapped_bytes();
        bool const on_reserved = kind == HugePages::reserved && !storage.has_note();
        if (block != nullptr) {
          static_cast<char volatile*>(block)[0] = 1;
          static_cast<char volatile*>(block)[bytes - 1] = 1;
          storage.release(block, bytes, alignment);
        }
        std::size_t const after = mapped_bytes();
        REQUIRE(block != nullptr);
        CHECK(is_aligned(block, alignment));
        CHECK(is_aligned(block, page));
        std::size_t const unit = on_reserved ? huge : page;
        CHECK(meanwhile - before == (bytes + unit - 1) / unit * unit);
        CHECK(after == before);
        CHECK_FALSE(is_mapped(block, bytes));
      }
}

TEST_CASE("page storage: what no system has is null, and leaves nothing behind") {
  constexpr std::size_t most = ~std::size_t{0};
  for (HugePages const kind : {HugePages::none, HugePages::transparent, HugePages::reserved})
    for (std::size_t const bytes : {most, most - 1, most - page + 1, most - page, most - huge, most / 2 + 1, most / 2,
                                    most / 4, power_of_two(52, 31)})
      for (std::size_t const alignment : {std::size_t{64}, 2 * page, huge, power_of_two(40, 30)}) {
        if (!is_64_bit && bytes <= most / 2 + 1) continue;  // some systems have those
        PageStorage storage{{.huge_pages = kind}};
        std::size_t const before = mapped_bytes();
        void* const block = storage.acquire(bytes, alignment);
        std::size_t const after = mapped_bytes();
        CHECK(block == nullptr);
        CHECK(after == before);
      }
  PageStorage storage;
  CHECK(storage.acquire(0, 8) == nullptr);
}

TEST_CASE("page storage: a pool that cannot be had says so, and holds nothing") {
  if (!is_64_bit) return skip("there may be memory for all that a program of 32 bits can ask for");
  std::size_t const before = mapped_bytes();
  auto const pool = GrowingPool<Item, PageStorage>::try_create(PoolConfig{.capacity = power_of_two(54, 0)});
  std::size_t const after = mapped_bytes();
  REQUIRE_FALSE(pool);
  CHECK(pool.error().code == ErrorCode::allocation_failed);
  CHECK(says(pool.error(), "no memory of the requested size"));
  CHECK(after == before);
}

TEST_CASE("page storage: objects and slots aligned above a page") {
  FixedPool<Wide, PageStorage> wide(20);
  FixedPool<Item, PageStorage> configured(PoolConfig{.capacity = 5, .alignment = 64 * kibibyte});
  GrowingPool<Wide, PageStorage, BitmapAllocator> growing(3);
  std::vector<Handle<Wide>> handles;
  for (int i = 0; i != 20; ++i) {
    handles.push_back(wide.allocate());
    REQUIRE(is_aligned(handles.back().get(), alignof(Wide)));
    handles.push_back(growing.allocate());
    REQUIRE(is_aligned(handles.back().get(), alignof(Wide)));
  }
  for (int i = 0; i != 5; ++i) {
    auto handle = configured.allocate();
    REQUIRE(is_aligned(handle.get(), 64 * kibibyte));
    (void)handle.release();
  }
  configured.for_each([&](Item& item) { (void)configured.adopt(&item); });
  CHECK(configured.is_empty());
  CHECK(wide.check_invariants());
  CHECK(growing.check_invariants());
}

TEST_CASE("page storage: nothing is brought in that nobody asked for; all of it where somebody did", "[kernel]") {
  constexpr std::size_t bytes = 64 * kibibyte;
  std::size_t const pages = bytes / page;
  PageStorage plain{{.huge_pages = HugePages::none}};
  void* const untouched = plain.acquire(bytes, 64);
  CHECK(resident_pages(untouched, bytes) == 0);
  CHECK_FALSE(plain.is_prefaulted());
  plain.release(untouched, bytes, 64);

  PageStorage prefault{{.huge_pages = HugePages::none, .prefault = true}};
  void* const brought_in = prefault.acquire(bytes, 64);
  CHECK(resident_pages(brought_in, bytes) == pages);
  CHECK(prefault.is_prefaulted());
  CHECK_FALSE(prefault.has_note());
  prefault.release(brought_in, bytes, 64);
}

TEST_CASE("page storage: prefault of blocks on transparent huge pages", "[kernel]") {
  PageStorage storage{{.prefault = true}};
  void* const block = storage.acquire(2 * huge + 1, 64);
  CHECK(resident_pages(block, 2 * huge + page) == 2 * huge / page + 1);
  storage.release(block, 2 * huge + 1, 64);
}

TEST_CASE("page storage: big blocks begin at a huge page, and the kernel hears what is wanted of them", "[kernel]") {
  PageStorage transparent;
  void* const block = transparent.acquire(huge, 64);
  CHECK(is_aligned(block, huge));
  if (!transparent.has_note()) CHECK(has_vm_flag(block, " hg"));
  transparent.release(block, huge, 64);

  PageStorage none{{.huge_pages = HugePages::none}};
  void* const small = none.acquire(2 * huge, 64);
  CHECK_FALSE(has_vm_flag(small, " hg"));
  if (!transparent.has_note()) CHECK(has_vm_flag(small, " nh"));
  CHECK_FALSE(none.has_note());
  none.release(small, 2 * huge, 64);
}

#if !FASTALLOC_ASAN && !FASTALLOC_TSAN  // whose runtimes make mlock() do nothing
TEST_CASE("page storage: locked memory is locked, and unlocked when it goes back") {
  std::size_t const bytes = 2 * page;
  if (!may_lock(bytes)) return skip("not a page may be locked here; type ulimit -l 64");
  std::size_t const before = proc_bytes("/proc/self/status", "VmLck:");
  {
    FixedPool<Item, PageStorage, NoChecks, FreeListAllocator> const pool(PoolConfig{.capacity = bytes / sizeof(Item)},
                                                                         PageStorage{{.lock_memory = true}});
    CHECK(proc_bytes("/proc/self/status", "VmLck:") == before + bytes);
    CHECK_FALSE(pool.storage().has_note());
    CHECK(pool.storage().note().to_string() == "fastalloc: no error: nothing was refused");
    CHECK(pool.storage().options().lock_memory);
  }
  CHECK(proc_bytes("/proc/self/status", "VmLck:") == before);
}

TEST_CASE("page storage: RLIMIT_MEMLOCK is too low: a note with the values, unlocked memory; or an error", "[kernel]") {
  for (std::size_t const limit : {std::size_t{0}, 8 * kibibyte})
    check_in_child([&] {
      NEED(limit_locking(limit));
      FixedPool<Item, PageStorage, NoChecks, FreeListAllocator> pool(
          PoolConfig{.capacity = 1024}, PageStorage{{.huge_pages = HugePages::none, .lock_memory = true}});
      Error const note = pool.storage().note();
      NEED(pool.storage().has_note() && pool.storage().has_note(PageFeature::lock_memory) &&
           !pool.storage().has_note(PageFeature::prefault));
      NEED(says(note, "RLIMIT_MEMLOCK") && says(note, "ulimit -l") && says(note, "unlocked memory is in use"));
      NEED(note.requested == 64 * kibibyte && note.limit == limit && std::string(note.unit) == "bytes");
      NEED(note.to_string().find("requested 65536 bytes") != std::string::npos);
      NEED((note.to_string().find("limit 8192 bytes") != std::string::npos) == (limit != 0));
      NEED(proc_bytes("/proc/self/status", "VmLck:") == 0);
      auto const first = pool.allocate();  // it works all the same, and takes no fault
      NEED(resident_pages(first.get(), 64 * kibibyte) == 64 * kibibyte / page);
    });
}

TEST_CASE("page storage: with `required` a lock that cannot be had is the error of the pool, and nothing is held") {
  check_in_child([] {
    NEED(limit_locking(16 * kibibyte));
    PageStorage const needed{{.lock_memory = true, .required = true}};
    PageStorage unneeded{{.lock_memory = true}};
    NEED(unneeded.acquire(64 * kibibyte, 64) != nullptr);
    PoolConfig const config{.capacity = 1024};
    using Pool = FixedPool<Item, PageStorage, NoChecks, FreeListAllocator>;
    std::size_t const before = mapped_bytes();
    auto const pool = Pool::try_create(config, needed);
    std::size_t const after = mapped_bytes();
    NEED(!pool && after == before);
    NEED(pool.error().code == ErrorCode::allocation_failed && pool.error().requested == 64 * kibibyte &&
         pool.error().limit == 16 * kibibyte);
    NEED(std::string(pool.error().message()) == unneeded.note().message());
    NEED(pool.error().type_name.find("Item") != std::string_view::npos);
#if FASTALLOC_EXCEPTIONS
    try {
      Pool const thrown(config, needed);
      NEED(false);
    } catch (AllocationFailed const& exception) {
      NEED(std::string(exception.error().message()) == unneeded.note().message());
      NEED(std::strstr(exception.what(), "ulimit -l unlimited") != nullptr &&
           std::strstr(exception.what(), "limit 16384 bytes") != nullptr);
    }
#endif
    // Growth that cannot be locked fails; what there is stays.
    GrowingPool<Item, PageStorage, NoChecks> growing(
        PoolConfig{.capacity = 16, .growth_strategy = GrowthStrategy::linear(4096)}, needed);
    NEED(!growing.storage().has_note());
    std::vector<Handle<Item>> handles;
    for (int i = 0; i != 16; ++i) handles.push_back(growing.allocate());
    std::size_t const small = mapped_bytes();
    auto const refused = growing.try_allocate();
    std::size_t const still = mapped_bytes();
    NEED(!refused && growing.capacity() == 16 && still == small && growing.check_invariants());
  });
}

TEST_CASE("page storage: of several blocks the first that missed a feature is noted") {
  check_in_child([] {
    NEED(limit_locking(16 * kibibyte));
    PageStorage storage{{.lock_memory = true}};
    void* const fits = storage.acquire(8 * kibibyte, 64);
    NEED(fits != nullptr && !storage.has_note());
    void* const first = storage.acquire(128 * kibibyte, 64);
    void* const second = storage.acquire(64 * kibibyte, 64);
    NEED(first != nullptr && second != nullptr && storage.note().requested == 128 * kibibyte);
    storage.release(first, 128 * kibibyte, 64);
    NEED(storage.note().requested == 128 * kibibyte);
  });
}

TEST_CASE("page storage: several features are missing: each has its note, and the gravest comes first", "[kernel]") {
  check_in_child([] {
    NEED(limit_locking(16 * kibibyte));
    PageStorage storage{
        {.huge_pages = HugePages::reserved, .lock_memory = true, .numa_node = 63, .huge_page_size = 8 * kibibyte}};
    NEED(storage.acquire(64 * kibibyte, 64) != nullptr);
    NEED(says(storage.note(), "RLIMIT_MEMLOCK") && says(storage.note(PageFeature::lock_memory), "RLIMIT_MEMLOCK"));
    NEED(says(storage.note(PageFeature::huge_pages), "of this size") &&
         storage.note(PageFeature::huge_pages).requested == 8 * kibibyte);
    NEED(says(storage.note(PageFeature::numa_node), "NUMA node"));
    NEED(!storage.has_note(PageFeature::prefault));
  });
}

#endif

TEST_CASE("page storage: too few reserved huge pages are free: other pages, and a note; or an error", "[kernel]") {
  std::size_t const free = detail::free_huge_bytes(huge);
  std::size_t const bytes = free + huge - page;
  PageStorage storage{{.huge_pages = HugePages::reserved}};
  PageStorage required{{.huge_pages = HugePages::reserved, .required = true}};
  std::size_t const before = mapped_bytes();
  void* const block = storage.acquire(bytes, 64);
  if (block != nullptr) static_cast<char volatile*>(block)[bytes - 1] = 1;
  if (block != nullptr) storage.release(block, bytes, 64);
  bool const refused = required.acquire(bytes, 64) == nullptr && required.acquire(bytes, 4 * huge) == nullptr;
  std::size_t const after = mapped_bytes();
  CHECK(after == before);
  CHECK(refused);
  REQUIRE(block != nullptr);
  Error const note = storage.note();
  CHECK(says(note, "reserved huge pages"));
  CHECK(says(note, "vm.nr_hugepages"));
  CHECK(says(note, "other pages are in use"));
  CHECK(note.requested == free + huge);
  CHECK(note.limit == free);

  CHECK_FALSE(required.has_note());
  Error error;
  required.explain(error);
  CHECK(std::string(error.message()) == note.message());
  CHECK(error.requested == free + huge);
}

TEST_CASE("page storage: reserved huge pages of a size that there is not", "[kernel]") {
  for (std::size_t const size :
       {std::size_t{0}, std::size_t{3}, 2 * kibibyte, 8 * kibibyte, 3 * mebibyte, power_of_two(62, 29)}) {
    PageStorage storage{{.huge_pages = HugePages::reserved, .huge_page_size = size}};
    void* const block = storage.acquire(100, 64);
    REQUIRE(block != nullptr);
    CHECK(says(storage.note(), "of this size"));
    CHECK(says(storage.note(), "/sys/kernel/mm/hugepages"));
    storage.release(block, 100, 64);
    CHECK_FALSE(is_mapped(block, page));
  }
}

TEST_CASE("page storage: reserved huge pages where there are some") {
  if (detail::free_huge_bytes(huge) < 4 * huge)
    return skip("no reserved huge pages are free; type sysctl vm.nr_hugepages=8");
  std::size_t const free = detail::free_huge_bytes(huge);
  for (std::size_t const alignment : {std::size_t{64}, huge, 4 * huge}) {
    PageStorage storage{{.huge_pages = HugePages::reserved, .prefault = true, .lock_memory = true, .numa_node = 0}};
    void* const block = storage.acquire(huge + 1, alignment);
    REQUIRE(block != nullptr);
    CHECK_FALSE(storage.has_note(PageFeature::huge_pages));
    CHECK(is_aligned(block, alignment));
    CHECK(has_vm_flag(block, " ht"));
    CHECK(detail::free_huge_bytes(huge) == free - 2 * huge);
    storage.release(block, huge + 1, alignment);
    CHECK(detail::free_huge_bytes(huge) == free);
  }
  {
    GrowingPool<Item, PageStorage> pool(PoolConfig{.capacity = 10, .growth_strategy = GrowthStrategy::linear(10)},
                                        PageStorage{{.huge_pages = HugePages::reserved}});
    auto const handle = pool.allocate();
    CHECK(has_vm_flag(handle.get(), " ht"));
    CHECK(detail::free_huge_bytes(huge) == free - 2 * huge);  // a block and the directory
  }
  CHECK(detail::free_huge_bytes(huge) == free);
}

TEST_CASE("page storage: transparent huge pages are switched off for the process: a note, never a failure") {
  check_in_child([] {
    if (::prctl(PR_SET_THP_DISABLE, 1L, 0L, 0L, 0L) != 0) return;
    PageStorage storage{{.required = true}};
    NEED(storage.acquire(huge - 1, 64) != nullptr && !storage.has_note());  // too small for one
    NEED(storage.acquire(huge, 64) != nullptr);
    NEED(says(storage.note(), "transparent huge pages are switched off") && says(storage.note(), "echo madvise"));
    NEED(storage.note().requested == huge);
    PageStorage none{{.huge_pages = HugePages::none}};
    NEED(none.acquire(huge, 64) != nullptr && !none.has_note());
  });
}

namespace {
/// 128 of them take 4 MiB: a segment is more than a huge page.
struct Big {
  std::uint64_t words[4096];
};

/// Fills the pool with n objects, twice; each address leads to its pool, whatever pages it lies on. Returns: false if
/// anything is wrong. `all`: an object of each segment.
template <class Pool> bool fill_and_empty(Pool& pool, std::size_t n, std::vector<void const*>& all) {
  bool good = true;
  for (int round = 0; round != 2; ++round) {
    std::vector<typename Pool::handle_type> live;
    for (std::size_t i = 0; i != n; ++i) {
      live.push_back(pool.allocate());
      live.back()->words[7] = i;
      auto const segment = reinterpret_cast<std::uintptr_t>(live.back().get()) / Pool::segment_bytes;
      if (i == 0 || reinterpret_cast<std::uintptr_t>(live[i - 1].get()) / Pool::segment_bytes != segment)
        all.push_back(live.back().get());
    }
    for (std::size_t i = 0; i != n; ++i) {
      auto const* const words = live[i]->words;
      good = good && words[7] == i && pool.owns(live[i].get()) && pool.owns(words + 1) &&
             pool.index_of(live[i]) < pool.capacity();
    }
    good = good && pool.allocated() == n && pool.check_invariants();
    for (std::size_t i = 0; i < n; i += 3) live[i].reset();  // in another order than they came
    if constexpr (Pool::segment_bytes == 256 * kibibyte) {
      std::vector<CompactHandle<typename Pool::value_type>> erased;
      for (std::size_t i = 1; i < n; i += 3) erased.push_back(std::move(live[i]));
    }
    live.clear();
    good = good && pool.is_empty() && pool.check_invariants();
  }
  return good;
}

/// Fixed pools of one segment and of several, and a pool that grows and shrinks, each on such pages.
template <class T> bool work_on(HugePages kind) {
  static constexpr std::size_t in_segment = FixedPool<T, CompactHandles>::segment_bytes / sizeof(T);
  PageStorage const storage{{.huge_pages = kind}};
  bool good = true;
  std::vector<void const*> segments;
  for (std::size_t const n : {std::size_t{1}, in_segment / 2, 2 * in_segment + 1}) {
    FixedPool<T, PageStorage, CompactHandles> pool(PoolConfig{.capacity = n}, storage);
    good = fill_and_empty(pool, n, segments) && good;
  }
  {
    GrowingPool<T, PageStorage, CompactHandles> pool(
        PoolConfig{.capacity = 3, .growth_strategy = GrowthStrategy::exponential(3.0)}, storage);
    good = fill_and_empty(pool, 2 * in_segment, segments) && good;
    good = good && pool.shrink_to_fit() >= in_segment && pool.check_invariants();
    good = fill_and_empty(pool, in_segment, segments) && good;
  }
  std::size_t const left = static_cast<std::size_t>(
      std::count_if(segments.begin(), segments.end(), [](void const* at) { return is_mapped(page_of(at), page); }));
  // Other memory of the program may lie where a block was.
  return good && segments.size() >= 8 && left <= segments.size() / 2;
}
}  // namespace

TEST_CASE("page storage: handles of one word lead to their pools on pages of any size") {
  static_assert(FixedPool<Item, CompactHandles>::segment_bytes == 256 * kibibyte &&
                FixedPool<Big, CompactHandles>::segment_bytes == 2 * huge);
  for (HugePages const kind : {HugePages::none, HugePages::transparent, HugePages::reserved}) {
    CHECK(work_on<Item>(kind));
    CHECK(work_on<Big>(kind));
  }
}

TEST_CASE("page storage: segments of handles of one word lie on huge pages, or a note says why not", "[kernel]") {
  constexpr std::size_t n = 100'000;  // 25 segments of 256 KiB in one acquisition
  for (HugePages const kind : {HugePages::transparent, HugePages::reserved}) {
    std::size_t const free = detail::free_huge_bytes(huge);
    FixedPool<Item, PageStorage, CompactHandles> pool(PoolConfig{.capacity = n}, PageStorage{{.huge_pages = kind}});
    auto const first = pool.allocate();
    char const* const flag = kind == HugePages::reserved ? " ht" : " hg";
    CHECK(has_vm_flag(first.get(), flag) == !pool.storage().has_note(PageFeature::huge_pages));
    if (kind == HugePages::transparent) CHECK(reinterpret_cast<std::uintptr_t>(first.get()) % huge < 256 * kibibyte);
    if (kind == HugePages::reserved && free < n * sizeof(Item)) {
      CHECK(says(pool.storage().note(), "too few reserved huge pages"));
      auto const required = FixedPool<Item, PageStorage, CompactHandles>::try_create(
          PoolConfig{.capacity = n}, PageStorage{{.huge_pages = kind, .required = true}});
      REQUIRE_FALSE(required);
      CHECK(required.error().code == ErrorCode::allocation_failed);
      CHECK(says(required.error(), "too few reserved huge pages"));
    }
  }
  check_in_child([] {
    if (::prctl(PR_SET_THP_DISABLE, 1L, 0L, 0L, 0L) != 0) return;
    FixedPool<Item, PageStorage, CompactHandles> pool(n);
    NEED(pool.storage().has_note(PageFeature::huge_pages));
    std::vector<void const*> segments;
    NEED(fill_and_empty(pool, n, segments));
    NEED(segments.size() >= 25);
  });
}

TEST_CASE("page storage: a copy has the options, and no notes") {
  static_assert([] {
    PageStorage const storage{{.numa_node = 3}};
    PageStorage copy(storage);
    copy = PageStorage{{.numa_node = 4}};
    return PageStorage(storage).options().numa_node == 3 && copy.options().numa_node == 4;
  }());
  PageStorage storage{{.huge_pages = HugePages::none, .numa_node = 1023}};
  void* const block = storage.acquire(page, 64);
  REQUIRE(block != nullptr);
  REQUIRE(storage.has_note());
  PageStorage copy(storage);
  CHECK_FALSE(copy.has_note());
  CHECK(copy.options().numa_node == 1023);
  storage = copy;
  CHECK(storage.has_note());
  storage.release(block, page, 64);

  FixedPool<Item, PageStorage> const first(PoolConfig{.capacity = 10},
                                           PageStorage{{.numa_node = 1023, .required = false}});
  REQUIRE(first.storage().has_note());
  PageStorage of_pool = first.storage();
  CHECK_FALSE(of_pool.has_note());
  CHECK(of_pool.note().to_string() == "fastalloc: no error: nothing was refused");
}

TEST_CASE("page storage: a NUMA node below -1 is a mistake") {
  for (int const node : {-2, -1000000}) {
    auto const refused = FixedPool<Item, PageStorage>::try_create(PoolConfig{.capacity = 10},
                                                                  PageStorage{{.numa_node = node, .required = true}});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::invalid_configuration);
    CHECK(says(refused.error(), "numa_node is negative"));
    PageStorage storage{{.numa_node = node}};  // not required: a note
    void* const block = storage.acquire(4096, 64);
    CHECK(block != nullptr);
    CHECK(says(storage.note(PageFeature::numa_node), "-1 for any node"));
    storage.release(block, 4096, 64);
  }
}

TEST_CASE("page storage: a NUMA node that there is not", "[kernel]") {
  for (int const node : {63, 1023, 1024, 1 << 30}) {
    PageStorage storage{{.numa_node = node}};
    void* const block = storage.acquire(page, 64);
    REQUIRE(block != nullptr);
    if (says(storage.note(), "does not let this process")) return skip("this system knows no NUMA policy");
    CHECK(says(storage.note(), "no such NUMA node"));
    CHECK(says(storage.note(), "numactl --hardware"));
    CHECK(says(storage.note(), "memory of any node is in use"));
    CHECK(storage.note().requested == static_cast<std::size_t>(node));
    CHECK(storage.note().to_string().find("requested " + std::to_string(node) + " as NUMA node") != std::string::npos);
    storage.release(block, page, 64);
  }
  std::size_t const before = mapped_bytes();
  auto const refused = FixedPool<Item, PageStorage>::try_create(PoolConfig{.capacity = 10},
                                                                PageStorage{{.numa_node = 63, .required = true}});
  std::size_t const after = mapped_bytes();
  REQUIRE_FALSE(refused);
  CHECK(says(refused.error(), "no such NUMA node"));
  CHECK(after == before);
}

TEST_CASE("page storage: pages of node 0") {
  PageStorage storage{{.huge_pages = HugePages::none, .prefault = true, .numa_node = 0}};
  std::size_t const bytes = 300 * page;
  auto* const block = static_cast<std::byte*>(storage.acquire(bytes, 64));
  REQUIRE(block != nullptr);
  if (storage.has_note()) {
    WARN("skipped: " << storage.note().to_string());
  } else {
    CHECK(detail::all_on_node(block, bytes, page, 0));
    // The one who looks does tell nodes apart, and passes by what is not there yet.
    int status = -1;
    void* first = block;
    if (::syscall(SYS_move_pages, 0, 1UL, &first, nullptr, &status, 0) == 0)
      CHECK_FALSE(detail::all_on_node(block, bytes, page, 1));
    (void)::madvise(block, bytes, MADV_DONTNEED);
    CHECK(detail::all_on_node(block, bytes, page, 1));
    block[299 * page] = std::byte{1};
    if (status == 0) CHECK_FALSE(detail::all_on_node(block, bytes, page, 1));
  }
  storage.release(block, bytes, 64);
}

TEST_CASE("page storage: growth, shrinking and threads' pools map and unmap whole pages only") {
  std::size_t const before = mapped_bytes();
  std::size_t in_use = 0;
  {
    GrowingPool<Item, PageStorage> pool(
        PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::exponential(2.0), .pre_initialize = true},
        PageStorage{{.huge_pages = HugePages::none, .prefault = true}});
    ThreadSafePool<Item, PageStorage> shared(
        PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(100)});
    ThreadLocalPool<Item, PageStorage> local(
        PoolConfig{.capacity = 100, .growth_strategy = GrowthStrategy::linear(100)}, PageStorage{{.prefault = true}});
    for (int round = 0; round != 3; ++round) {
      std::vector<Handle<Item>> handles;
      for (int i = 0; i != 5000; ++i) {
        handles.push_back(pool.allocate());
        if (i % 10 == 0) handles.push_back(shared.allocate());
        if (i % 10 == 0) handles.push_back(local.allocate());
      }
      CHECK(pool.check_invariants());
      handles.clear();
      CHECK(pool.shrink_to_fit() != 0);
      CHECK(shared.shrink_to_fit() != 0);
      CHECK(local.shrink_to_fit() != 0);
    }
    in_use = mapped_bytes();
    CHECK_FALSE(pool.storage().has_note());
    CHECK_FALSE(shared.storage().has_note());
    CHECK(local.storage().options().prefault);
  }
  std::size_t const after = mapped_bytes();
  CHECK(after < in_use);
  CHECK((in_use - after) % page == 0);
  // The heap, which handles and parts of threads come from, may have grown meanwhile; the blocks were 300 KiB and more,
  // each round.
  CHECK(after <= before + 2 * mebibyte);
}

namespace {
/// Says that it brings pages in, and does not: so whoever does is the pool.
struct Lazy {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t bytes, std::size_t alignment) noexcept {
    return pages.acquire(bytes, alignment);
  }
  void release(void* block, std::size_t bytes, std::size_t alignment) noexcept {
    pages.release(block, bytes, alignment);
  }
  [[nodiscard]] bool is_prefaulted() const noexcept { return prefaulted; }
  PageStorage pages{{.huge_pages = HugePages::none}};
  bool prefaulted = false;
};
/// Never has memory, and says why.
struct Strike {
  static constexpr bool can_grow = true;
  [[nodiscard]] void* acquire(std::size_t, std::size_t) noexcept { return nullptr; }
  void release(void*, std::size_t, std::size_t) noexcept {}
  void explain(Error& error) const noexcept {
    error.text = "the bytes are on strike";
    error.limit = 7;
  }
};
}  // namespace

TEST_CASE("storage: pre_initialize does not touch what the storage brought in") {
  static_assert(Prefaults<Lazy> && !Prefaults<HeapStorage> && !ExplainsFailure<Lazy> && ExplainsFailure<Strike>);
  constexpr std::size_t slots = 100 * 4096 / sizeof(Item);
  for (bool const prefaulted : {false, true}) {
    Lazy storage;
    storage.prefaulted = prefaulted;
    FixedPool<Item, Lazy, NoChecks, FreeListAllocator> pool(PoolConfig{.capacity = slots, .pre_initialize = true},
                                                            storage);
    auto const first = pool.allocate();
    std::size_t const resident = resident_pages(first.get(), slots * sizeof(Item));
    if (prefaulted) CHECK(resident <= 1);
    else CHECK(resident == slots * sizeof(Item) / page);
  }
}

TEST_CASE("storage: a storage of one's own explains its failure") {
  auto const pool = FixedPool<Item, Strike>::try_create(PoolConfig{.capacity = 10});
  REQUIRE_FALSE(pool);
  CHECK(std::string(pool.error().message()) == "the bytes are on strike");
  CHECK(pool.error().limit == 7);
  CHECK(pool.error().code == ErrorCode::allocation_failed);
}

#if FASTALLOC_HAS_SECCOMP

TEST_CASE("page storage: a kernel without MADV_POPULATE_WRITE: each page is touched") {
  check_in_child([] {
    if (!test::Calls().deny(SYS_madvise, EINVAL, 2, 23).install()) return;
    PageStorage storage{{.huge_pages = HugePages::none, .prefault = true}};
    void* const block = storage.acquire(20 * page, 64);
    NEED(block != nullptr && resident_pages(block, 20 * page) == 20 && !storage.has_note());
  });
}

TEST_CASE("page storage: pages cannot be brought in: a note, or an error") {
  check_in_child([] {
    if (!test::Calls().deny(SYS_madvise, ENOMEM, 2, 23).install()) return;
    PageStorage storage{{.huge_pages = HugePages::none, .prefault = true}};
    void* const block = storage.acquire(20 * page, 64);
    NEED(block != nullptr && resident_pages(block, 20 * page) == 0);
    NEED(says(storage.note(), "cannot be brought in") && says(storage.note(), "memory.max") &&
         storage.note().requested == 20 * page);
    std::size_t const before = mapped_bytes();
    PageStorage required{{.huge_pages = HugePages::none, .prefault = true, .required = true}};
    NEED(required.acquire(20 * page, 64) == nullptr);
    NEED(mapped_bytes() == before);
  });
}

#if !FASTALLOC_ASAN && !FASTALLOC_TSAN
TEST_CASE("page storage: mlock fails for want of memory, without a limit") {
  check_in_child([] {
    struct rlimit const none{RLIM_INFINITY, RLIM_INFINITY};
    bool const unlimited = ::setrlimit(RLIMIT_MEMLOCK, &none) == 0;
    if (!test::Calls().deny(SYS_mlock, EAGAIN).install()) return;
    PageStorage storage{{.lock_memory = true}};
    NEED(storage.acquire(page, 64) != nullptr);
    NEED(storage.note().requested == page &&
         (!unlimited || (storage.note().limit == 0 && says(storage.note(), "the system cannot lock the memory"))));
  });
}

#endif

TEST_CASE("page storage: a sandbox without mbind, a kernel without NUMA") {
  check_in_child([] {
    if (!test::Calls().deny(SYS_mbind, EPERM).install()) return;
    PageStorage storage{{.numa_node = 0}};
    NEED(storage.acquire(page, 64) != nullptr);
    NEED(says(storage.note(), "does not let this process choose a NUMA node") && says(storage.note(), "CAP_SYS_NICE"));
  });
  check_in_child([] {
    if (!test::Calls().deny(SYS_mbind, ENOSYS).deny(SYS_move_pages, ENOSYS).install()) return;
    PageStorage first{{.prefault = true, .numa_node = 0, .required = true}};
    NEED(first.acquire(page, 64) != nullptr);  // there is one node, and it is this one
    PageStorage second{{.numa_node = 1}};
    NEED(second.acquire(page, 64) != nullptr && says(second.note(PageFeature::numa_node), "does not offer that"));
  });
}

TEST_CASE("page storage: a kernel without transparent huge pages") {
  check_in_child([] {
    if (!test::Calls()
             .deny(SYS_madvise, EINVAL, 2, MADV_HUGEPAGE)
             .deny(SYS_madvise, EINVAL, 2, MADV_NOHUGEPAGE)
             .install())
      return;
    PageStorage storage;
    NEED(storage.acquire(huge, 64) != nullptr && says(storage.note(), "transparent huge pages"));
    PageStorage none{{.huge_pages = HugePages::none}};
    NEED(none.acquire(huge, 64) != nullptr && !none.has_note());
  });
}

TEST_CASE("page storage: no memory at the second step: nothing is left") {
  for (long const call : {SYS_mprotect, SYS_munmap})
    check_in_child([&] {
      static char unused[1];
      (void)mapped_bytes();
      std::size_t const before = mapped_bytes();
      // The first munmap only: a system with too many mappings refuses to cut one, and takes whole ones back.
      if (call == SYS_munmap ? !test::Calls().deny(SYS_munmap, ENOMEM, 1, static_cast<std::uint32_t>(page)).install()
                             : !test::Calls().deny(call, ENOMEM).install())
        return;
      PageStorage storage{{.huge_pages = HugePages::none}};
      void* block = nullptr;
      for (int i = 0; i != 20 && block == nullptr; ++i) block = storage.acquire(page * 3, 2 * page);
      if (call == SYS_mprotect) NEED(block == nullptr);
      if (block != nullptr) storage.release(block, page * 3, 2 * page);
      NEED(mapped_bytes() == before);
      (void)unused;
    });
}

TEST_CASE("page storage: a block that the system does not take back takes no neighbour with it") {
  // 8 KiB: no system has such reserved pages, so the blocks are of others. The kernel maps downwards: the second is
  // right below the first.
  for (bool const aligned : {false, true})
    check_in_child([&] {
      test::Calls refuse;
      refuse.deny(SYS_munmap, ENOMEM, 1, static_cast<std::uint32_t>(page));
      PageStorage storage{{.huge_pages = HugePages::reserved, .huge_page_size = 2 * page}};
      std::byte* below = nullptr;
      std::byte* above = static_cast<std::byte*>(storage.acquire(page, 64));
      for (int i = 0; i != 20; ++i, above = below) {
        below = static_cast<std::byte*>(storage.acquire(page, 64));
        if (below + page == above && is_aligned(below, 2 * page) == aligned) break;
      }
      if (below + page != above || !storage.has_note() || !refuse.install()) return;
      storage.release(below, page, 64);
      NEED(is_mapped(above, page));
      NEED(is_mapped(below, page));
    });
}

TEST_CASE("page storage: what was cut off a mapping is not unmapped again") {
  check_in_child([] {
    // Of 9 pages, 1 is cut off before and 3 behind. The latter fails, and so would an munmap of all 9: what lies before
    // may be another's.
    auto const place = [] {
      void* const pages = ::mmap(nullptr, 9 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      ::munmap(pages, 9 * page);
      return static_cast<std::byte*>(pages);
    };
    test::Calls refuse;
    refuse.deny(SYS_munmap, ENOMEM, 1, static_cast<std::uint32_t>(3 * page))
        .deny(SYS_munmap, ENOMEM, 1, static_cast<std::uint32_t>(9 * page));
    (void)mapped_bytes();
    for (int i = 0; i != 8 && !is_aligned(place() + page, 4 * page); ++i)
      (void)::mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!is_aligned(place() + page, 4 * page) || !refuse.install()) return;
    std::size_t const before = mapped_bytes();
    PageStorage storage{{.huge_pages = HugePages::none}};
    NEED(storage.acquire(5 * page, 4 * page) == nullptr);
    NEED(mapped_bytes() == before);
  });
}

TEST_CASE(
    "page storage: the place for reserved huge pages is never mapped over, and tried again when somebody else has it") {
  constexpr int reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26;
  constexpr int no_replace = 0x100000;
  // The answer of each way to map tells which was gone: EINVAL is noted as a size that there is not.
  for (bool const taken : {false, true})
    check_in_child([&] {
      test::Calls refuse;
      refuse.deny(SYS_mmap, EINVAL, 3, static_cast<std::uint32_t>(reserved | MAP_FIXED));
      refuse.deny(SYS_mmap, taken ? EEXIST : ENOMEM, 3, static_cast<std::uint32_t>(reserved | no_replace));
      (void)mapped_bytes();
      if (!refuse.install()) return;
      std::size_t const before = mapped_bytes();
      PageStorage storage{{.huge_pages = HugePages::reserved}};
      void* const block = storage.acquire(page, 2 * huge);
      NEED(block != nullptr && is_aligned(block, 2 * huge) && says(storage.note(), "too few reserved huge pages"));
      storage.release(block, page, 2 * huge);
      NEED(mapped_bytes() == before);
    });
}

#endif
#endif
