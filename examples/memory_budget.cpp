// SPDX-License-Identifier: MIT OR Apache-2.0
// A byte budget over pools.
//
// Use it where several pools may hold so many bytes together, in whatever proportion the day brings: a level of a game,
// a tenant of a server, a cache with several kinds of entries. A pool whose next block is above the budget is refused
// as if the heap were empty; the program gives up what it can spare, here old footprints for enemies, and asks again.
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/storage/budget.hpp>

#include <cstddef>
#include <cstdio>
#include <utility>
#include <vector>

namespace {

template <class T> using LevelPool = fastalloc::GrowingPool<T, fastalloc::Budgeted<>>;

struct Enemy {
  float state[64] = {};
};
struct Footprint {
  float x = 0, y = 0;
  float shape[30] = {};
};

class Level {
 public:
  explicit Level(std::size_t bytes) : budget_(bytes) {}

  /// Returns: false if there is no room, even without footprints.
  bool spawn() {
    auto enemy = enemies_.try_allocate();
    while (!enemy && forget_footprints()) enemy = enemies_.try_allocate();
    if (!enemy) return false;
    living_.push_back(std::move(enemy));
    return true;
  }
  bool step() {
    auto footprint = footprints_.try_allocate();
    if (!footprint) return false;
    trail_.push_back(std::move(footprint));
    return true;
  }
  void print(char const* when) const {
    std::printf("%s: %zu enemies, %s; the budget is kept: %s\n", when, living_.size(),
                trail_.empty() ? "no footprints" : "footprints", budget_.in_use() <= budget_.limit() ? "yes" : "no");
  }
  [[nodiscard]] fastalloc::MemoryBudget& budget() { return budget_; }

 private:
  /// Gives up the older half. Returns: false if there was nothing to give up.
  bool forget_footprints() {
    if (trail_.empty()) return false;
    trail_.erase(trail_.begin(), trail_.begin() + static_cast<std::ptrdiff_t>((trail_.size() + 1) / 2));
    (void)footprints_.shrink_to_fit();  // blocks without a footprint go back, and count no more
    return true;
  }

  fastalloc::MemoryBudget budget_;  // first: it outlives its pools
  fastalloc::PoolConfig config_{.capacity = 20, .growth_strategy = fastalloc::GrowthStrategy::linear(20)};
  LevelPool<Enemy> enemies_{config_, fastalloc::Budgeted<>(budget_)};
  LevelPool<Footprint> footprints_{config_, fastalloc::Budgeted<>(budget_)};
  std::vector<LevelPool<Enemy>::handle_type> living_;
  std::vector<LevelPool<Footprint>::handle_type> trail_;
};

}  // namespace

int main() {
  Level level(64 * 1024);
  while (level.step()) {}
  level.print("after a long walk");

  for (int i = 0; i != 100; ++i)
    if (!level.spawn()) std::printf("an enemy was refused\n");
  level.print("after a raid");

  while (level.spawn()) {}
  level.print("when nothing is left to give up");

  auto const refused = level.budget().set_limit(1000);
  std::printf("a limit of 1000 bytes now: %s\n", refused ? "set" : refused.error().message());
  if (level.budget().set_limit(128 * 1024))
    std::printf("twice the limit: %s\n", level.spawn() ? "one more" : "refused");
}
