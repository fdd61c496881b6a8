// SPDX-License-Identifier: MIT OR Apache-2.0
// Pooled: a class's own operator new and delete; where its objects come from, and go back to.
#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/recorded_errors.hpp"
#include "support/test_storage.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Particle : Pooled<Particle> {
  explicit Particle(int n = 0) : number(n) {}
  int number;
  double position[3]{};
};
static_assert(sizeof(Particle) == 32 && std::is_empty_v<Pooled<Particle>> && std::is_trivially_copyable_v<Particle>);

/// Before and after main.
struct Early {
  std::unique_ptr<Particle> made = std::make_unique<Particle>(5);
  ~Early() {
    if (made->number != 5 || Particle::allocated() != 1) std::abort();
    auto const another = std::make_unique<Particle>();
    made.reset();
  }
} early;

template <class T> bool in_pool(T const* p) { return T::pool().owns(p); }

struct Counted : Pooled<Counted, NoLock, BasicStats> {
  std::uint64_t words[5]{};
};
struct Few : Pooled<Few, NoLock> {
  static PoolConfig pool_config() {
    return {.capacity = 2, .max_capacity = 3, .growth_strategy = GrowthStrategy::linear(1)};
  }
  int number = 0;
};
struct FewShared : Pooled<FewShared> {
  static PoolConfig pool_config() { return {.capacity = 30}; }
  std::uint64_t number = 0;
};
struct Free : Pooled<Free, LockFree> {
  static PoolConfig pool_config() { return {.capacity = 5}; }
  int number = 0;
};
struct Inside : Pooled<Inside, NoLock, InlineStorage<4>> {
  int number = 0;
};

struct Plain : Pooled<Plain> {  // no virtual destructor
  std::uint64_t word = 1;
};
struct SameSize : Plain {};
struct Bigger : Plain {
  std::uint64_t more[9]{};
};
struct Shape : Pooled<Shape> {
  virtual ~Shape() = default;
  [[nodiscard]] virtual int sides() const { return 0; }
};
struct Square : Shape {
  [[nodiscard]] int sides() const override { return 4; }
};
struct Polygon : Shape {
  [[nodiscard]] int sides() const override { return static_cast<int>(corners.size()); }
  std::array<int, 20> corners{};
};
struct alignas(64) Line : Pooled<Line> {
  std::byte bytes[64]{};
};
struct WideLine : Line {
  std::byte more[64]{};
};
struct alignas(128) AlignedMore : Line {};
struct Chars : Pooled<Chars> {
  char bytes[32]{};
};
struct alignas(16) Aligned16 : Chars {};  // of the same size
struct Tree : Pooled<Tree> {
  std::unique_ptr<Tree> left, right;
};
struct Own : Plain, Pooled<Own, NoLock> {
  using Pooled<Own, NoLock>::operator new;
  using Pooled<Own, NoLock>::operator delete;
};

bool is_aligned(void const* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

}  // namespace

TEST_CASE("pooled: new takes a slot, delete returns it") {
  std::size_t const before = Particle::allocated();
  auto* const a = new Particle(1);
  auto* const b = new Particle(2);
  CHECK((in_pool(a) && in_pool(b) && a->number == 1 && b->number == 2));
  CHECK(Particle::allocated() == before + 2);
  delete a;
  delete b;
  delete static_cast<Particle*>(nullptr);
  Particle::operator delete(nullptr, sizeof(Particle));
  CHECK(Particle::allocated() == before);
  {
    std::vector<std::unique_ptr<Particle>> many;
    for (int i = 0; i != 3000; ++i) many.push_back(std::make_unique<Particle>(i));
    std::set<void*> addresses;
    for (auto const& p : many) addresses.insert(p.get());
    CHECK(addresses.size() == 3000);
    CHECK(Particle::allocated() == before + 3000);
    std::shared_ptr<Particle> const shared(new Particle(7));
    CHECK(in_pool(shared.get()));
  }
  CHECK(Particle::allocated() == before);
  CHECK(Particle::pool().check_invariants());
}

TEST_CASE("pooled: memory comes back") {
  std::vector<std::unique_ptr<Counted>> many(10'000);
  for (auto& p : many) p = std::make_unique<Counted>();
  CHECK(Counted::pool().capacity() >= 10'000);
  CHECK(Counted::pool_statistics().current_usage == 10'000);
  CHECK(Counted::pool_statistics().growth_count > 0);
  many.clear();
  CHECK(Counted::pool().shrink_to_fit() > 100'000);
  CHECK(Counted::pool_statistics().peak_usage == 10'000);
  CHECK(Counted::allocated() == 0);
}

TEST_CASE("pooled: arrays and placement do not use the pool") {
  std::size_t const before = Particle::allocated();
  std::unique_ptr<Particle[]> const array(new Particle[4]);
  CHECK_FALSE(in_pool(&array[0]));
  alignas(Particle) std::byte room[sizeof(Particle)];
  auto* const placed = new (room) Particle(3);
  CHECK((static_cast<void*>(placed) == room && placed->number == 3));
  auto* const anywhere = ::new Particle(4);
  CHECK_FALSE(in_pool(anywhere));
  ::delete anywhere;
  CHECK(Particle::allocated() == before);
}

TEST_CASE("pooled: a full pool refuses") {
  std::unique_ptr<Few> a(new Few), b(new Few), c(new (std::nothrow) Few);
  CHECK((c != nullptr && new (std::nothrow) Few == nullptr));
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(new Few, std::bad_alloc);
  CHECK_THROWS_AS(std::make_unique<Few>(), MaxCapacityExceeded);
#endif
  b.reset();
  CHECK(std::unique_ptr<Few>(new (std::nothrow) Few) != nullptr);
  CHECK(Few::allocated() == 2);
}

TEST_CASE("pooled: a pool in static memory") {
  std::unique_ptr<Inside> objects[4];
  for (auto& object : objects) object = std::make_unique<Inside>();
  CHECK((in_pool(objects[3].get()) && new (std::nothrow) Inside == nullptr));
  auto* const at = reinterpret_cast<std::byte*>(objects[0].get());
  auto* const pool = reinterpret_cast<std::byte*>(&Inside::pool());
  CHECK((at > pool && at < pool + sizeof(Inside::pool())));
}

TEST_CASE("pooled: a lock-free pool of fixed capacity") {
  std::unique_ptr<Free> objects[5];
  for (auto& object : objects) object = std::make_unique<Free>();
  CHECK((Free::allocated() == 5 && new (std::nothrow) Free == nullptr));
}

TEST_CASE("pooled: threads share an exact number, nearly") {
  std::vector<std::thread> threads;
  std::atomic<int> got{0}, refused{0};
  for (int t = 0; t != 3; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round != 300; ++round) {
        std::vector<std::unique_ptr<FewShared>> mine;
        for (int i = 0; i != 8; ++i)
          if (std::unique_ptr<FewShared> object(new (std::nothrow) FewShared); object != nullptr)
            mine.push_back(std::move(object)), ++got;
          else ++refused;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(FewShared::allocated() == 0);
  CHECK(got > 300);
  std::vector<std::unique_ptr<FewShared>> all;  // one thread gets what others kept
  for (int i = 0; i != 30; ++i) all.emplace_back(new FewShared);
  CHECK(new (std::nothrow) FewShared == nullptr);
}

TEST_CASE("pooled: objects are deleted by other threads") {
  std::vector<Particle*> objects;
  std::size_t const before = Particle::allocated();
  for (int i = 0; i != 1000; ++i) objects.push_back(new Particle(i));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t != 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < objects.size(); i += 4) delete objects[i];
      for (int i = 0; i != 1000; ++i) delete new Particle(i);
    });
  for (auto& thread : threads) thread.join();
  CHECK(Particle::allocated() == before);
}

TEST_CASE("pooled: derived classes of the same size take slots, bigger ones come from the heap") {
  SECTION("virtual destructor") {
    std::unique_ptr<Shape> const square = std::make_unique<Square>();
    std::unique_ptr<Shape> polygon = std::make_unique<Polygon>();
    CHECK((square->sides() == 4 && polygon->sides() == 20));
    CHECK((in_pool(square.get()) && !in_pool(polygon.get())));
    CHECK((Shape::allocated() == 1 && Shape::heap_objects() == 1));
    polygon.reset();
    CHECK(Shape::heap_objects() == 0);
  }
  SECTION("as themselves") {
    auto const same = std::make_unique<SameSize>();
    auto const bigger = std::make_unique<Bigger>();
    CHECK((in_pool<Plain>(same.get()) && !in_pool<Plain>(bigger.get()) && Plain::heap_objects() == 1));
  }
  SECTION("the size of the base: where the object came from") {
    void* const big = Plain::operator new(sizeof(Bigger));
    void* const small = Plain::operator new(sizeof(Plain));
    Plain::operator delete(small, sizeof(Plain));
    Plain::operator delete(big, sizeof(Plain));
  }
  CHECK((Shape::allocated() == 0 && Shape::heap_objects() == 0));
  CHECK((Plain::allocated() == 0 && Plain::heap_objects() == 0));
  CHECK(Plain::pool().check_invariants());
}

TEST_CASE("pooled: alignment") {
  {
    std::vector<std::unique_ptr<Line>> lines;
    for (int i = 0; i != 50; ++i) lines.push_back(std::make_unique<Line>());
    for (auto const& line : lines) CHECK((is_aligned(line.get(), 64) && in_pool(line.get())));
    auto const wide = std::make_unique<WideLine>();
    auto const more = std::make_unique<AlignedMore>();
    CHECK((is_aligned(wide.get(), 64) && is_aligned(more.get(), 128) && Line::heap_objects() == 2));
    std::unique_ptr<Line> const quiet(new (std::nothrow) Line);
    CHECK((is_aligned(quiet.get(), 64) && Line::allocated() == 51));
    std::unique_ptr<AlignedMore> const quiet_more(new (std::nothrow) AlignedMore);
    CHECK((is_aligned(quiet_more.get(), 128) && Line::heap_objects() == 3));
  }
  CHECK((Line::allocated() == 0 && Line::heap_objects() == 0));
  std::vector<std::unique_ptr<Aligned16>> words;
  for (int i = 0; i != 50; ++i) words.push_back(std::make_unique<Aligned16>());
  static_assert(sizeof(Aligned16) == sizeof(Chars));
  for (auto const& word : words) CHECK((is_aligned(word.get(), 16) && in_pool<Chars>(word.get())));
}

TEST_CASE("pooled: destructors delete others") {
  auto root = std::make_unique<Tree>();
  for (auto* at = root.get(); Tree::allocated() < 200; at = at->left.get())
    at->left = std::make_unique<Tree>(), at->right = std::make_unique<Tree>();
  root.reset();
  CHECK(Tree::allocated() == 0);
}

TEST_CASE("pooled: a derived class may have a pool of its own") {
  auto const own = std::make_unique<Own>();
  CHECK((Pooled<Own, NoLock>::pool().owns(own.get()) && Plain::allocated() == 0));
}

#if FASTALLOC_EXCEPTIONS
namespace {
struct Throws : Pooled<Throws> {
  explicit Throws(bool big = false) { throw big; }
};
struct ThrowsBig : Throws {
  ThrowsBig() : Throws(true) {}
  char more[100];
};
struct alignas(64) ThrowsAligned : Throws {
  char more[100];
};
}  // namespace

TEST_CASE("pooled: constructors that throw") {
  CHECK_THROWS_AS(new Throws, bool);
  CHECK_THROWS_AS(new (std::nothrow) Throws, bool);
  CHECK_THROWS_AS(new ThrowsBig, bool);
  CHECK_THROWS_AS(new (std::nothrow) ThrowsBig, bool);
  CHECK_THROWS_AS(new ThrowsAligned, bool);
  CHECK_THROWS_AS(new (std::nothrow) ThrowsAligned, bool);
  alignas(Throws) std::byte room[sizeof(Throws)];
  CHECK_THROWS_AS(new (room) Throws, bool);
  CHECK((Throws::allocated() == 0 && Throws::heap_objects() == 0));
}
#endif

namespace {
bool configured = false;
struct Late : Pooled<Late, NoLock, test::FailingStorage> {
  static PoolConfig pool_config() { return {.capacity = configured ? 10u : 0u}; }
  int number = 0;
};
}  // namespace

TEST_CASE("pooled: a pool that could not be made is tried again") {
  CHECK(new (std::nothrow) Late == nullptr);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(new Late, InvalidConfiguration);
#endif
  configured = true;
  test::storage_account().fail_after(0);
  CHECK(new (std::nothrow) Late == nullptr);
#if FASTALLOC_EXCEPTIONS
  try {
    delete new Late;
    CHECK(false);
  } catch (AllocationFailed const& e) {
    CHECK_THAT(e.error().to_string(), ContainsSubstring("Late"));
  }
#endif
  test::storage_account().allow();
  CHECK(std::make_unique<Late>() != nullptr);
}

namespace {
struct Checked : Pooled<Checked, NoLock, FullChecks> {
  std::uint64_t word = 0;
};
}  // namespace

TEST_CASE("pooled: with checks a second deletion is reported") {
  test::RecordedErrors const errors;
  auto* const object = new Checked;
  void* const address = object;
  delete object;
  Checked::operator delete(address, sizeof(Checked));
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::double_free);
  CHECK_THAT(errors.last().to_string(), ContainsSubstring("Checked"));
  std::uint64_t elsewhere = 0;
  Checked::operator delete(&elsewhere, sizeof(Checked));
  CHECK(errors.last().code == ErrorCode::invalid_handle);
}
