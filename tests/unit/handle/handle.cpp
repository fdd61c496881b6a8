// SPDX-License-Identifier: MIT OR Apache-2.0
// Handle: ownership through every kind of move, erased and converted handles, comparison, hash.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/tracked.hpp"

using namespace fastalloc;
using test::Tracked;

namespace {

struct Left {
  virtual ~Left() = default;
  int left = 1;
};
struct Right {
  virtual ~Right() = default;
  int right = 2;
};
struct Both : Left, Right, Tracked {
  explicit Both(std::uint64_t value) : Tracked(value) {}
};
struct Base : Tracked {
  using Tracked::Tracked;
};
struct Plain : Base {
  using Base::Base;
};
struct VirtualBase : virtual Tracked {
  std::uint64_t padding[3] = {};
};

struct Node {
  std::vector<Handle<Node, FixedPool<Node>>> kids;
  Handle<Node> parent_of;
};

}  // namespace

TEMPLATE_TEST_CASE("trap: handle moves", "", (FixedPool<Tracked>), (GrowingPool<Tracked>),
                   (FixedPool<Tracked, BitmapAllocator, NoChecks>)) {
  test::Audit const audit;
  TestType pool(8);
  SECTION("typed") {
    auto a = pool.allocate(1U);
    auto& alias = a;
    a = std::move(alias);
    REQUIRE(static_cast<bool>(a));
    CHECK(a->value() == 1);
    a.swap(alias);
    CHECK(a->value() == 1);
    auto b = pool.allocate(2U);
    a = std::move(b);
    CHECK(a->value() == 2);
    CHECK_FALSE(static_cast<bool>(b));
    CHECK(pool.allocated() == 1);
    swap(a, b);
    CHECK((a == nullptr && b->value() == 2));
    a = std::move(b);
    a = nullptr;
    CHECK(pool.is_empty());
  }
  SECTION("erased") {
    Handle<Tracked> a = pool.allocate(1U);
    auto& alias = a;
    a = std::move(alias);
    REQUIRE(static_cast<bool>(a));
    CHECK(a->value() == 1);
    a = pool.allocate(2U);
    CHECK(a->value() == 2);
    CHECK(pool.allocated() == 1);
    Handle<Tracked> const b(std::move(a));
    CHECK(a == nullptr);
    CHECK(b->value() == 2);
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("trap: handle moves: algorithms keep every object") {
  test::Audit const audit;
  GrowingPool<Tracked> pool(4);
  std::vector<GrowingPool<Tracked>::handle_type> handles;
  std::mt19937 random(7);
  for (std::uint64_t i = 0; i != 1000; ++i) handles.push_back(pool.allocate(std::uint64_t{random() % 50}));
  auto const by_value = [](auto const& a, auto const& b) { return a->value() < b->value(); };
  std::stable_sort(handles.begin(), handles.end(), by_value);
  CHECK(std::is_sorted(handles.begin(), handles.end(), by_value));
  std::shuffle(handles.begin(), handles.end(), random);
  std::sort(handles.begin(), handles.end());
  CHECK(std::is_sorted(handles.begin(), handles.end(),
                       [](auto const& a, auto const& b) { return std::less<>{}(a.get(), b.get()); }));
  handles.erase(std::remove_if(handles.begin(), handles.end(), [](auto const& h) { return h->value() % 2 == 0; }),
                handles.end());
  CHECK(pool.allocated() == handles.size());
  std::optional<GrowingPool<Tracked>::handle_type> maybe = std::move(handles.front());
  maybe.reset();
  handles.clear();
  CHECK(pool.is_empty());
}

TEST_CASE("handle: empty before the destructor of its object runs") {
  struct Watcher {
    Handle<Watcher>* self = nullptr;
    bool* was_empty = nullptr;
    ~Watcher() {
      if (was_empty != nullptr) *was_empty = (*self == nullptr);
    }
  };
  FixedPool<Watcher> pool(2);
  bool was_empty = false;
  Handle<Watcher> handle = pool.allocate();
  handle->self = &handle;
  handle->was_empty = &was_empty;
  SECTION("reset") { handle.reset(); }
  SECTION("nullptr") { handle = nullptr; }
  CHECK(was_empty);
}

TEST_CASE("handle: assignment stores the new object before the old one dies") {
  struct Watcher {
    Handle<Watcher>* self = nullptr;
    Watcher** seen = nullptr;
    ~Watcher() {
      if (seen != nullptr) *seen = self->get();
    }
  };
  FixedPool<Watcher> pool(2);
  Watcher* seen = nullptr;
  Handle<Watcher> handle = pool.allocate();
  handle->self = &handle;
  handle->seen = &seen;
  Handle<Watcher> next = pool.allocate();
  Watcher* const expected = next.get();
  handle = std::move(next);
  CHECK(seen == expected);
}

TEMPLATE_TEST_CASE("handle: to a base, wherever it lies in the object", "", (FixedPool<Both>),
                   (GrowingPool<Both, NoChecks>), (GrowingPool<Both, FullChecks, BitmapAllocator>)) {
  test::Audit const audit;
  TestType pool(3);
  std::vector<typename TestType::handle_type> keep;
  keep.push_back(pool.allocate(100U));
  keep.push_back(pool.allocate(101U));
  Handle<Left> left = pool.allocate(1U);
  Handle<Right> right;
  Handle<Tracked> tracked;
  CHECK(left->left == 1);
  left.reset();
  right = pool.allocate(2U);
  CHECK(right->right == 2);
  right.reset();
  tracked = pool.allocate(3U);
  CHECK(tracked->value() == 3);
  Handle<Tracked> again(std::move(tracked));
  tracked = std::move(again);
  Handle<Tracked const> constant(std::move(tracked));
  CHECK(constant->value() == 3);
  constant.reset();
  CHECK(pool.check_invariants());
  CHECK(pool.allocated() == 2);
  CHECK(keep[1]->value() == 101);
}

TEST_CASE("handle: to a base of a base in steps, and to a virtual base") {
  test::Audit const audit;
  FixedPool<Plain> plain(2);
  Handle<Base> base = plain.allocate(5U);
  Handle<Tracked> tracked = std::move(base);
  CHECK(tracked->value() == 5);
  tracked.reset();
  CHECK(plain.is_empty());
  FixedPool<VirtualBase> pool(2);
  tracked = pool.allocate();
  CHECK(static_cast<void*>(tracked.get()) != nullptr);
  CHECK(pool.allocated() == 1);
  tracked.reset();
  CHECK(pool.is_empty());
}

TEST_CASE("handle: one erased type for objects of many pools") {
  test::Audit const audit;
  FixedPool<Tracked> fixed(4);
  GrowingPool<Tracked, BitmapAllocator> growing(4);
  FixedPool<Plain, InlineStorage<4>> inline_pool;
  std::vector<Handle<Tracked>> handles;
  for (std::uint64_t i = 0; i != 4; ++i) {
    handles.push_back(fixed.allocate(3 * i));
    handles.push_back(growing.allocate(3 * i + 1));
    handles.push_back(inline_pool.allocate(3 * i + 2));
  }
  std::reverse(handles.begin(), handles.end());
  for (std::size_t i = 0; i != handles.size(); ++i) CHECK(handles[i]->value() == 11 - i);
  handles.clear();
  CHECK((fixed.is_empty() && growing.is_empty() && inline_pool.is_empty()));
}

TEST_CASE("handle: comparison and hash go by address") {
  FixedPool<int> pool(3);
  auto const a = pool.allocate(1);
  auto const b = pool.allocate(1);
  FixedPool<int>::handle_type const none;
  CHECK((a == a && a != b && a != nullptr && none == nullptr));
  CHECK((a < b) == std::less<>{}(a.get(), b.get()));
  CHECK((none < a));
  std::hash<FixedPool<int>::handle_type> const hash;
  CHECK(hash(a) == std::hash<int*>{}(a.get()));
  std::unordered_set<Handle<int>> set;
  set.insert(pool.allocate(9));
  CHECK(set.size() == 1);
  CHECK(**set.begin() == 9);
}

TEST_CASE("handle: to T as a member of T") {
  FixedPool<Node> pool(20);
  auto root = pool.allocate();
  for (int i = 0; i != 3; ++i) {
    root->kids.push_back(pool.allocate());
    root->kids.back()->kids.push_back(pool.allocate());
    root->kids.back()->parent_of = pool.allocate();
  }
  CHECK(pool.allocated() == 10);
  root.reset();
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

namespace {
/// A vector of H grows by copies of bytes; what is at the old place is written over. Returns: false if an object is not
/// the handle's, or does not come back.
template <class H, class Pool> bool grows_by_bytes(Pool& pool) {
  constexpr std::size_t n = 64;
  H* data = nullptr;
  bool good = true;
  for (std::size_t i = 0; i != n; ++i) {
    if ((i & (i - 1)) == 0) {  // i is 0 or a power of two
      auto* const larger = static_cast<H*>(std::malloc((i == 0 ? 1 : 2 * i) * sizeof(H)));
      if (i != 0) {
        std::memcpy(static_cast<void*>(larger), static_cast<void const*>(data), i * sizeof(H));
        std::memset(static_cast<void*>(data), 0x5a, i * sizeof(H));
      }
      std::free(static_cast<void*>(data));
      data = larger;
    }
    ::new (static_cast<void*>(data + i)) H(pool.allocate(i));
  }
  good = good && pool.allocated() == n;
  H const moved = std::move(data[7]);
  good = good && data[7] == nullptr && moved->alive();
  for (std::size_t i = 0; i != n; ++i) {
    good = good && (i == 7 || data[i]->alive());
    data[i].~H();
  }
  good = good && pool.allocated() == 1;
  std::free(static_cast<void*>(data));
  return good;
}
struct Live : Tracked {
  using Tracked::Tracked;
  [[nodiscard]] bool alive() const { return test::ledger().lives(static_cast<Tracked const*>(this)); }
};
struct Front {
  virtual ~Front() = default;
  int front = 1;
};
struct Rear : Front, Live {
  explicit Rear(std::uint64_t value) : Live(value) {}
};
}  // namespace

TEMPLATE_TEST_CASE("handle: is trivially relocatable: a copy of its bytes is the handle", "", (FixedPool<Rear>),
                   (GrowingPool<Rear, DebugChecks>), (ThreadSafePool<Rear>), (FixedPool<Rear, CompactHandles>),
                   (GrowingPool<Rear, DebugChecks, CompactHandles>)) {
  test::Audit const audit;
  TestType pool(64);
  CHECK(grows_by_bytes<typename TestType::handle_type>(pool));
  CHECK(grows_by_bytes<Handle<Rear>>(pool));
  CHECK(grows_by_bytes<Handle<Live>>(pool));  // which lies behind the start of its slot
  if constexpr (sizeof(typename TestType::handle_type) == sizeof(void*)) {
    CHECK(grows_by_bytes<CompactHandle<Rear>>(pool));
    CHECK(grows_by_bytes<CompactHandle<Live>>(pool));
  }
  CHECK(pool.is_empty());
  CHECK(pool.check_invariants());
}

TEST_CASE("handle: release and adopt keep the object as it is") {
  test::Audit const audit;
  FixedPool<Tracked> pool(2);
  auto handle = pool.allocate(8U);
  Tracked* const object = handle.release();
  CHECK(handle == nullptr);
  CHECK(pool.allocated() == 1);
  handle = pool.adopt(object);
  CHECK(handle->value() == 8);
  CHECK(pool.index_of(handle) == pool.index_of(object));
}
