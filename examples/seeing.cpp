// SPDX-License-Identifier: MIT OR Apache-2.0
// What goes on in a pool: as events to a sink of our own, as a trace for Perfetto, and as a picture of the slots.
//
//   seeing                 prints events and counts
//   seeing FOLDER          also writes there jobs.trace.json (open it at ui.perfetto.dev) and tasks.svg
#include <fastalloc/debug/occupancy.hpp>
#include <fastalloc/debug/trace.hpp>
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct Job {
  int id;
  char text[60];
};

// A sink is a type with static functions. They run on the thread where the event happens, while no lock is held.
struct Console : fastalloc::TraceSwitch<Console> {
  static void event(fastalloc::TraceEvent const& e) noexcept {
    static constexpr char const* words[] = {"allocated", "freed", "grew", "failed", "waited"};
    fastalloc::PoolUsage const usage = e.usage();
    std::printf("  %s: %s, %zu of %zu slots in use\n", std::string(e.pool_name).c_str(),
                words[static_cast<std::size_t>(e.kind)], usage.live, usage.capacity);
  }
};

int save(std::string const& path, std::string const& text) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  bool const written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) std::fclose(file);
  if (!written) std::fprintf(stderr, "cannot write %s\n", path.c_str());
  return written ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  {
    fastalloc::GrowingPool<Job, fastalloc::TraceStats<Console>> pool(fastalloc::PoolConfig{
        .capacity = 1, .max_capacity = 2, .growth_strategy = fastalloc::GrowthStrategy::linear(1), .name = "small"});
    Console::turn(true);
    auto const first = pool.allocate(Job{.id = 1, .text = {}});
    auto const second = pool.allocate(Job{.id = 2, .text = {}});
    if (!pool.try_allocate(Job{.id = 3, .text = {}})) std::printf("a full pool\n");
    Console::turn(false);  // compiled in and switched off, it costs less than a nanosecond an object
  }

  // The same events as a trace: threads that work side by side.
  using Jobs = fastalloc::ThreadSafePool<Job, fastalloc::TraceStats<fastalloc::ChromeTrace>>;
  Jobs jobs(fastalloc::PoolConfig{.capacity = 200, .name = "jobs"});
  fastalloc::ChromeTrace::start();
  std::vector<std::thread> threads;
  for (int t = 0; t != 3; ++t)
    threads.emplace_back([&] {
      std::vector<Jobs::handle_type> mine;
      for (int i = 0; i != 100; ++i) {
        mine.push_back(jobs.allocate(Job{.id = i, .text = {}}));
        if (mine.size() == 60) mine.clear();
      }
    });
  for (auto& thread : threads) thread.join();
  std::vector<Jobs::handle_type> left;
  for (int i = 0; i != 90; ++i) left.push_back(jobs.allocate(Job{.id = i, .text = {}}));
  fastalloc::ChromeTrace::stop();
  std::printf("at least %d events recorded, %zu dropped\n", fastalloc::ChromeTrace::recorded() >= 690 ? 690 : 0,
              fastalloc::ChromeTrace::dropped());

  // Slots: every sixth of 108 objects has ended.
  fastalloc::FixedPool<Job> tasks(fastalloc::PoolConfig{.capacity = 200, .name = "tasks"});
  std::vector<fastalloc::FixedPool<Job>::handle_type> kept;
  for (int i = 0; i != 108; ++i) kept.push_back(tasks.allocate(Job{.id = i, .text = {}}));
  for (std::size_t i = 5; i < kept.size(); i += 6) kept[i].reset();

  if (argc < 2) return 0;
  std::string const folder = argv[1];
  return fastalloc::ChromeTrace::save((folder + "/jobs.trace.json").c_str())
             ? save(folder + "/tasks.svg", fastalloc::occupancy_svg(tasks))
             : save(folder + "/jobs.trace.json", "");  // says why not
}
