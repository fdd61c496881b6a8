// SPDX-License-Identifier: MIT OR Apache-2.0
// Bound<pool>: handles of one word.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <vector>

#include "support/audit.hpp"
#include "support/catch.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;

namespace {

struct Node;

}  // namespace

extern FixedPool<Node> bound_nodes;

namespace {

struct Base {
  virtual ~Base() = default;
  long padding = 0;
};
struct Other {
  virtual ~Other() = default;
};
struct Node : Base, Other, test::Tracked {
  explicit Node(std::uint64_t value = 0) : Tracked(value) {}
  std::vector<Handle<Node, Bound<bound_nodes>>> children;  // Node is incomplete here
  Handle<Node, Bound<bound_nodes>> next = nullptr;
};
using Nodes = Bound<bound_nodes>;

ThreadSafePool<int> shared_pool(10);
GrowingPool<int, FullChecks> checked_pool(10);

static_assert(sizeof(Nodes::handle_type) == sizeof(void*) && sizeof(Bound<shared_pool>::handle_type) == sizeof(void*));
static_assert(!std::is_copy_constructible_v<Nodes::handle_type> &&
              std::is_nothrow_move_constructible_v<Nodes::handle_type> &&
              std::is_nothrow_move_assignable_v<Nodes::handle_type>);
// bind() checks where it came from
static_assert(!std::convertible_to<FixedPool<Node>::handle_type, Nodes::handle_type>);

}  // namespace

FixedPool<Node> bound_nodes(100);

TEST_CASE("bound: handles of one word own, move and convert as others do") {
  test::Audit audit;
  {
    auto root = Nodes::allocate(1U);
    root->children.push_back(Nodes::allocate(2U));
    root->children.back()->children.push_back(Nodes::try_allocate(3U));
    CHECK(bound_nodes.allocated() == 3);
    root->next = Nodes::allocate(4U);
    root->next.reset();
    auto moved = std::move(root);
    CHECK_FALSE(root);
    CHECK(moved->value() == 1);
    auto& alias = moved;
    moved = std::move(alias);
    CHECK(moved->value() == 1);

    Handle<Other> other = std::move(moved->children.back());  // a base that lies further in
    CHECK(other.get() != nullptr);
    other.reset();
    CHECK(bound_nodes.allocated() == 1);

    Node* const raw = moved.release();
    moved = Nodes::adopt(raw);
    CHECK(bound_nodes.index_of(raw) < 100);
    swap(moved, root);
    CHECK(root->value() == 1);
  }
  CHECK(bound_nodes.is_empty());
}

TEST_CASE("bound: containers of handles sort, erase and clear") {
  test::Audit audit;
  std::vector<Nodes::handle_type> handles;
  for (std::uint64_t i = 0; i != 50; ++i) handles.push_back(Nodes::allocate(i * 37 % 50));
  std::stable_sort(handles.begin(), handles.end(),
                   [](auto const& a, auto const& b) { return a->value() < b->value(); });
  for (std::uint64_t i = 0; i != 50; ++i) CHECK(handles[static_cast<std::size_t>(i)]->value() == i);
  std::erase_if(handles, [](auto const& handle) { return handle->value() % 2 == 0; });
  CHECK(bound_nodes.allocated() == 25);
  handles.clear();
  CHECK(bound_nodes.is_empty());
}

TEST_CASE("bound: a full pool gives empty handles, and a function's own static pool will do") {
  static FixedPool<int> pool(1);
  auto const first = Bound<pool>::allocate(1);
  CHECK_FALSE(Bound<pool>::try_allocate(2));
  CHECK(&Bound<pool>::pool() == &pool);
  CHECK_FALSE(Bound<pool>::adopt(nullptr));
}

TEST_CASE("bound: bind() takes over a handle of the pool, and refuses one of another") {
  auto two_words = checked_pool.allocate(1);
  auto one_word = Bound<checked_pool>::bind(std::move(two_words));
  CHECK_FALSE(two_words);
  CHECK(*one_word == 1);
  CHECK(checked_pool.allocated() == 1);
  CHECK_FALSE(Bound<checked_pool>::bind({}));

  GrowingPool<int, FullChecks> stranger(1);
  auto foreign = stranger.allocate(2);
  test::RecordedErrors errors;
  CHECK_FALSE(Bound<checked_pool>::bind(std::move(foreign)));
  REQUIRE(errors.count() == 1);
  CHECK(errors.last().code == ErrorCode::invalid_handle);
  CHECK(foreign);  // nothing is lost
}

TEST_CASE("bound: a pool that threads share") {
  auto const handle = Bound<shared_pool>::allocate(3);
  CHECK(*handle == 3);
  CHECK(shared_pool.allocated() == 1);
}
