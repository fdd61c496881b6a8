// SPDX-License-Identifier: MIT OR Apache-2.0
// A pool that is destroyed before its handles reports them.
#include <fastalloc/fastalloc.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"

using namespace fastalloc;
using Catch::Matchers::ContainsSubstring;

namespace game {
struct Ship {
  int hull = 0;
};
}  // namespace game

TEMPLATE_TEST_CASE("live handles: the report names type, count and first indices", "",
                   (FixedPool<game::Ship, FullChecks, BitmapAllocator>),
                   (GrowingPool<game::Ship, FreeListAllocator, NoChecks>),
                   (GrowingPool<game::Ship, BitmapAllocator, MutexLock>),
                   (FixedPool<game::Ship, InlineStorage<40>>)MORE_ROWS((FixedPool<game::Ship, NoChecks>),
                                                                       (GrowingPool<game::Ship>))) {
  test::RecordedErrors const errors;
  std::optional<TestType> pool(std::in_place, 40);
  std::vector<typename TestType::handle_type> handles;
  for (int i = 0; i != 32; ++i) handles.push_back(pool->allocate(game::Ship{i}));
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i != handles.size(); ++i)
    if (i % 2 == 0) handles[i].reset();
    else indices.push_back(pool->index_of(handles[i]));
  for (auto& handle : handles) (void)handle.release();
  pool.reset();
  REQUIRE(errors.count() == 1);
  Error const& error = errors[0];
  CHECK(error.code == ErrorCode::live_handles);
  CHECK(error.allocated == 16);
  CHECK(error.capacity == 40);
  CHECK(error.type_name == "game::Ship");
  REQUIRE(error.index_count == Error::max_indices);
  CHECK(std::vector<std::size_t>(error.indices, error.indices + Error::max_indices) ==
        std::vector<std::size_t>(indices.begin(), indices.begin() + 8));
  CHECK_THAT(error.to_string(), ContainsSubstring("allocated 16 slots") && ContainsSubstring("indices 1 3 5") &&
                                    ContainsSubstring(" ..."));
}

TEST_CASE("live handles: the default handler prints the report and aborts") {
  auto const ending = test::run_in_child([] {
    FixedPool<game::Ship> pool(3);
    (void)pool.allocate().release();
  });
  CHECK(ending.aborted);
  CHECK_THAT(ending.errors, ContainsSubstring("fastalloc: live_handles: ") && ContainsSubstring("type game::Ship") &&
                                ContainsSubstring("allocated 1 slots") && ContainsSubstring("indices 0"));
}

TEST_CASE("live handles: kept objects that nobody holds are no live handles") {
  test::RecordedErrors const errors;
  {
    auto pool =
        FixedPool(PoolConfig{.capacity = 4, .pre_initialize = true}, recycle([] { return std::string(100, 'x'); }));
    auto const handle = pool.allocate();
    CHECK(handle->size() == 100);
  }
  CHECK(errors.count() == 0);
}

TEST_CASE("live handles: the memory goes back all the same") {
  test::RecordedErrors const errors;
  std::vector<std::byte> bytes(FixedPool<int, ExternalStorage>::required_bytes(4) + 16);
  std::byte* const begin = bytes.data() + (16 - reinterpret_cast<std::uintptr_t>(bytes.data()) % 16);
  {
    FixedPool<int, ExternalStorage> pool(std::span(begin, FixedPool<int, ExternalStorage>::required_bytes(4)));
    (void)pool.allocate(1).release();
  }
  CHECK(errors.count() == 1);
  for (std::byte& b : bytes) b = std::byte{1};  // nothing of it is poisoned any more
}
