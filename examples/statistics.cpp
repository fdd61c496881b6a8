// SPDX-License-Identifier: MIT OR Apache-2.0
// What a pool with BasicStats can tell, and every form in which it tells it.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <utility>
#include <vector>

namespace {

struct Request {
  char body[200];
};

}  // namespace

int main() {
  // NoStats is the default: 0 bytes, 0 instructions, and no statistics() to call by mistake. BasicStats adds one
  // increment an allocation; everything else is worked out when asked for.
  using Pool = fastalloc::GrowingPool<Request, fastalloc::BasicStats>;
  Pool pool(fastalloc::PoolConfig{
      .capacity = 10, .max_capacity = 40, .growth_strategy = fastalloc::GrowthStrategy::linear(10)});

  std::vector<Pool::handle_type> requests;
  for (int i = 0; i != 50; ++i)
    if (auto request = pool.try_allocate()) requests.push_back(std::move(request));
  requests.resize(15);

  fastalloc::PoolStatistics const statistics = pool.statistics();
  std::printf("%s\n", compact_summary(statistics).c_str());
  std::printf("\nsummary:\n%s", summary(statistics).c_str());

  std::printf("\nkey/value pairs, for a logger:\n ");
  for (auto const& [key, value] : key_value_pairs(statistics))
    std::printf(" %.*s=%s", static_cast<int>(key.size()), key.data(), value.c_str());

  std::printf("\n\nPrometheus:\n%s", to_prometheus(statistics, "requests").c_str());

  auto const json = to_json(statistics);
  std::printf("\nJSON:\n%s\n", json.c_str());
  auto const read = fastalloc::statistics_from_json(json);
  std::printf("read back: %s\n", read && *read == statistics ? "equal" : "different");

  // What comes from outside may be anything: the error says what was expected, and at which byte.
  if (auto const bad = fastalloc::statistics_from_json(R"({"capacity": "forty"})"); !bad)
    std::printf("byte %zu: %s\n", bad.error().requested, bad.error().message());

  // A new period: totals begin at 0, what is in use stays, and the peak starts from there.
  pool.reset_statistics();
  requests.clear();
  std::printf("\nafter a reset: %s\n", compact_summary(pool.statistics()).c_str());
}
