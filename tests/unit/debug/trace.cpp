// SPDX-License-Identifier: MIT OR Apache-2.0
// TraceStats: what a sink hears, when, and that no lock is held; ChromeTrace: the grammar and content of its JSON.
#include <fastalloc/debug/trace.hpp>
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/audit.hpp"
#include "support/json.hpp"

using namespace fastalloc;
using namespace std::chrono_literals;
using test::Json;
using test::Tracked;

namespace {

/// Writes events down, as "pool kind"; runs `then` in each.
struct Notes : TraceSwitch<Notes> {
  struct Note {
    TraceKind kind;
    std::string pool;
    std::string type;
    void const* address;
    std::size_t bytes;
    std::uint64_t count;
    bool served;
    std::chrono::nanoseconds wait;
    PoolUsage usage;
  };
  static inline std::vector<Note> all;
  static inline void (*then)(TraceEvent const&) = nullptr;

  static void event(TraceEvent const& e) noexcept {
    all.push_back({e.kind, std::string(e.pool_name), std::string(e.type_name), e.address, e.bytes, e.count, e.served,
                   e.wait, e.usage()});
    if (then != nullptr) then(e);
  }
  static std::string kinds() {
    std::string out;
    for (Note const& note : all) out += "+-GFW"[static_cast<int>(note.kind)];
    return out;
  }
};
struct Listening {
  Listening() {
    Notes::all.clear();
    Notes::turn(true);
  }
  ~Listening() {
    Notes::turn(false);
    Notes::then = nullptr;
  }
};
using Traced = TraceStats<Notes>;

PoolConfig named(std::size_t capacity, std::string_view name) {
  return {.capacity = capacity, .growth_strategy = GrowthStrategy::none(), .name = name};
}

Json trace() {
  Json const json = test::JsonParser::parse(ChromeTrace::to_json());
  REQUIRE(json.kind == Json::Kind::object);
  return json;
}
std::vector<Json> of_phase(Json const& trace, std::string const& phase) {
  std::vector<Json> found;
  for (Json const& event : trace["traceEvents"].items)
    if (event["ph"].text == phase) found.push_back(event);
  return found;
}
std::size_t with_name(Json const& trace, std::string const& name) {
  std::size_t n = 0;
  for (Json const& event : trace["traceEvents"].items) n += event["name"].text == name;
  return n;
}

static_assert(StatsPolicy<Traced>);
static_assert(TraceSink<ChromeTrace> && TraceSink<Notes>);
static_assert(sizeof(FixedPool<int, TraceStats<ChromeTrace>>) <= sizeof(FixedPool<int, BasicStats>) + 16);

}  // namespace

TEMPLATE_TEST_CASE("trace: a sink hears of objects, with what they are", "", (FixedPool<Tracked, Traced>),
                   (GrowingPool<Tracked, Traced>), (ThreadSafePool<Tracked, Traced>),
                   (ThreadSafePool<Tracked, NoCache, Traced>), (ThreadLocalPool<Tracked, Traced>),
                   (FixedPool<Tracked, LockFree, Traced>), (FixedPool<Tracked, BitmapAllocator, Traced>),
                   (FixedPool<Tracked, Generations, Traced, FullChecks>), (FixedPool<Tracked, Shared, Traced>),
                   (FixedPool<Tracked, MutexLock, TraceStats<Notes, AtomicStats>>)) {
  TestType pool(named(10, "orders"));
  auto silent = pool.allocate(1U);  // off
  void const* at = nullptr;
  {
    Listening const listening;
    auto handle = pool.allocate(2U);
    at = handle.get();
    REQUIRE(Notes::kinds() == "+");
    CHECK(Notes::all[0].usage.live == 2);
    handle.reset();
    silent.reset();
    CHECK(Notes::kinds() == "+--");
  }
  auto const later = pool.allocate(3U);  // off again
  REQUIRE(Notes::all.size() == 3);
  for (Notes::Note const& note : Notes::all) {
    CHECK(note.pool == "orders");
    CHECK(note.type.find("Tracked") != std::string::npos);
    CHECK(note.bytes == sizeof(Tracked));
    CHECK(note.usage.is_known);
    CHECK(note.usage.capacity == 10);
  }
  CHECK(Notes::all[0].address == at);
  CHECK(Notes::all[1].address == at);
  PoolStatistics const counted = pool.statistics();
  CHECK(counted.total_allocations == 3);
  CHECK(counted.total_deallocations == 2);
}

TEMPLATE_TEST_CASE("trace: objects of batches, runs, clear() and types without a destructor", "", long, Tracked) {
  FixedPool<TestType, BitmapAllocator, Traced> pool(100);
  Listening const listening;
  {
    auto const batch = pool.allocate_batch_handle(3, 7U);
    auto const run = pool.allocate_n(2, 7U);
    std::vector<typename FixedPool<TestType, BitmapAllocator, Traced>::handle_type> many(4);
    pool.allocate_batch(4, many.data(), 7U);
    CHECK(Notes::kinds() == "+++++++++");
    auto const chosen = pool.allocate_at(50, 7U);
  }
  CHECK(Notes::kinds() == "++++++++++----------");
  (void)pool.allocate(1U).release();
  (void)pool.allocate(2U).release();
  pool.clear();
  CHECK(Notes::kinds() == "++++++++++----------++--");
}

TEST_CASE("trace: of type-erased and shared handles, evicted objects, and objects from the heap") {
  SECTION("erased") {
    FixedPool<int, Traced> pool(2);
    Listening const listening;
    { Handle<int> const erased = pool.allocate(1); }
    CHECK(Notes::kinds() == "+-");
  }
  SECTION("shared") {
    FixedPool<int, Shared, Traced> pool(2);
    Listening const listening;
    WeakHandle<int> weak;
    {
      auto const shared = pool.allocate(1).share();
      weak = shared.downgrade();
    }
    CHECK(Notes::kinds() == "+-");  // the slot is kept
  }
  SECTION("heap") {
    FixedPool<int, HeapFallback, Traced> pool(1);
    Listening const listening;
    {
      auto const in_slot = pool.allocate(1);
      auto const on_heap = pool.allocate(2);
      CHECK(Notes::kinds() == "+F+");
    }
    CHECK(Notes::kinds() == "+F+--");
  }
  SECTION("recycled") {
    auto const policy = recycle([] { return 5; }, [](int&) { return true; });
    FixedPool<int, std::remove_const_t<decltype(policy)>, Traced> pool(named(1, ""), policy);
    Listening const listening;
    { auto const first = pool.allocate(); }
    { auto const second = pool.allocate(); }
    CHECK(Notes::kinds() == "+-+-");
  }
}

TEST_CASE("trace: failures and growth, before the request ends") {
  SECTION("full") {
    FixedPool<int, Traced> pool(named(1, "full"));
    Listening const listening;
    auto const only = pool.allocate(1);
    CHECK_FALSE(pool.try_allocate(2));
    CHECK(Notes::kinds() == "+F");
    CHECK(Notes::all[1].count == 1);
    CHECK(Notes::all[1].pool == "full");
    std::vector<FixedPool<int, Traced>::handle_type> handles(3);
    CHECK_FALSE(pool.try_allocate_batch(3, handles.data(), 1));
    CHECK(Notes::kinds() == "+FF");
#if FASTALLOC_EXCEPTIONS
    CHECK_THROWS_AS(pool.allocate(2), PoolExhausted);
    CHECK(Notes::kinds() == "+FFF");
#endif
    CHECK(pool.statistics().allocation_failures == Notes::all.size() - 1);
  }
  SECTION("growing") {
    GrowingPool<int, Traced> pool(1);
    Listening const listening;
    auto const a = pool.allocate(1);
    auto const b = pool.allocate(2);
    CHECK(Notes::kinds() == "+G+");
    CHECK(Notes::all[1].usage.capacity == 2);
    pool.reserve(10);
    CHECK(Notes::kinds() == "+G+G");
    CHECK(Notes::all[3].usage.capacity == 10);
    CHECK(pool.statistics().growth_count == 2);
  }
  SECTION("what happened while it was off is not told later") {
    GrowingPool<int, Traced> pool(1);
    auto const a = pool.allocate(1);
    auto const b = pool.allocate(1);
    Listening const listening;
    auto const c = pool.allocate(1);
    CHECK(Notes::kinds() == "G+");
    CHECK(Notes::all[0].count == 1);
  }
}

TEST_CASE("trace: waits, with their duration and end") {
  ThreadSafePool<int, NoCache, Traced> pool(named(1, "waited for"));
  auto first = pool.allocate(1);
  {
    Listening const listening;
    CHECK_FALSE(pool.allocate_for(3ms, 2));
    REQUIRE(Notes::kinds() == "W");
    CHECK_FALSE(Notes::all[0].served);
    CHECK(Notes::all[0].wait >= 2ms);
    CHECK(Notes::all[0].pool == "waited for");
    CHECK_FALSE(Notes::all[0].usage.is_known);
    CHECK_FALSE(pool.allocate_for(0ms, 2));
    CHECK(Notes::kinds() == "WF");  // it did not wait
  }
  CHECK(pool.statistics().allocation_failures == 2);
}

TEST_CASE("trace: a wait that another thread ends, or the end of the pool") {
  using Pool = ThreadSafePool<int, NoCache, TraceStats<ChromeTrace>>;
  ChromeTrace::start();
  std::atomic<bool> waits{false};
  bool served = false;
  SECTION("served") {
    Pool pool(1);
    auto first = pool.allocate(1);
    std::thread waiting([&] {
      waits = true;
      served = static_cast<bool>(pool.allocate_for(20s, 3));
    });
    while (!waits) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);
    first.reset();
    waiting.join();
    CHECK(served);
  }
  SECTION("dismissed") {
    auto pool = std::make_optional<MovablePool<Pool>>(named(1, "gone before its waiting thread"));
    auto& inside = **pool;
    auto kept = inside.allocate(1);
    std::thread waiting([&] {
      waits = true;
      served = static_cast<bool>(inside.allocate_for(20s, 3));
    });
    while (!waits) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);
    pool.reset();
    waiting.join();
    kept.reset();
    CHECK_FALSE(served);
  }
  ChromeTrace::stop();
  auto const told = of_phase(trace(), "X");
  REQUIRE(told.size() == 1);
  CHECK(told[0]["args"]["served"].text == (served ? "true" : "false"));
  ChromeTrace::clear();
}

TEST_CASE("trace: a sink may use the pool, and its own events are not told") {
  static FixedPool<long, MutexLock, Traced>* other = nullptr;
  FixedPool<long, MutexLock, Traced> pool(named(8, "used by its sink"));  // a lock held would block for ever
  other = &pool;
  Listening const listening;
  Notes::then = [](TraceEvent const& e) {
    auto const mine = other->try_allocate(9);
    (void)e.usage();
    (void)other->statistics();
    other->for_each([](long&) {});
  };
  { auto const handle = pool.allocate(1); }
  CHECK(Notes::kinds() == "+-");
  CHECK(pool.statistics().total_allocations == 3);
  ThreadSafePool<long, Traced> growing(PoolConfig{.capacity = 1, .growth_strategy = GrowthStrategy::exponential(2.0)});
  static ThreadSafePool<long, Traced>* grown = nullptr;
  grown = &growing;
  Notes::then = [](TraceEvent const&) { (void)grown->allocated(), grown->trim(); };
  std::vector<ThreadSafePool<long, Traced>::handle_type> handles;
  for (long i = 0; i != 5; ++i) handles.push_back(growing.allocate(i));
  CHECK(growing.check_invariants());
}

TEST_CASE("trace: events that a sink causes are not told, whatever the pool counts by") {
  static ThreadSafePool<long, Traced>* shared = nullptr;  // AtomicStats, not BasicStats
  ThreadSafePool<long, Traced> pool(8);
  FixedPool<long, Traced> first(8);
  shared = &pool;
  Listening const listening;
  Notes::then = [](TraceEvent const&) { (void)shared->try_allocate(1); };
  { auto const handle = first.allocate(1); }
  CHECK(Notes::kinds() == "+-");
}

namespace {

struct Node;
using Nodes = FixedPool<Node, Traced>;
struct Node {
  Handle<Node, Nodes> child;
};

}  // namespace

TEST_CASE("trace: destructors that release other objects") {
  Nodes pool(3);
  Listening const listening;
  {
    auto root = pool.allocate(Node{pool.allocate(Node{pool.allocate(Node{})})});
    CHECK(Notes::kinds() == "+++");
  }
  REQUIRE(Notes::kinds() == "+++---");
  for (std::size_t i = 0; i != 3; ++i) CHECK(Notes::all[3 + i].address == Notes::all[i].address);  // children first
}

#if FASTALLOC_EXCEPTIONS
TEST_CASE("trace: a constructor that throws leaves no event without its counterpart") {
  struct Throws {
    explicit Throws(int when) {
      if (when == 0) throw 1;
    }
  };
  FixedPool<Throws, Traced> pool(4);
  Listening const listening;
  CHECK_THROWS_AS(pool.allocate(0), int);
  CHECK(Notes::kinds().empty());
  CHECK(pool.allocated() == 0);
  CHECK_THROWS(pool.allocate_batch(std::array{1, 2, 0}));
  CHECK(Notes::kinds() == "++--");
  CHECK(pool.statistics().total_allocations == 0);

  struct Hooked : Poolable {
    void on_acquire() { throw 2; }
  };
  Notes::all.clear();
  FixedPool<Hooked, Traced> hooked(2);
  CHECK_THROWS_AS(hooked.allocate(), int);
  CHECK(Notes::kinds() == "+-");
}
#endif

TEST_CASE("trace: the policy fits what the pool needs") {
  // one thread: no locked instruction
  CHECK(std::same_as<Traced::under<false>, TraceStats<Notes, BasicStats>>);
  CHECK(std::same_as<Traced::under<true>, Traced>);
  alignas(64) static std::byte bytes[4096];
  FixedPool<long, ExternalStorage, LockFree, Traced> pool{std::span<std::byte>(bytes)};  // statistics in the span
  Listening const listening;
  { auto const handle = pool.allocate(1); }
  CHECK(Notes::kinds() == "+-");
}

TEST_CASE("ChromeTrace: the JSON is valid, and has instants, durations and counters") {
  using Stats = TraceStats<ChromeTrace>;
  std::string const name = "odd \"name\"\n\x01 \xc3\xa4 \xff\xfe";
  ChromeTrace::start(1000, 0ns);
  {
    ThreadSafePool<Tracked, NoCache, Stats> pool(named(2, name));
    auto const a = pool.allocate(1U);
    {
      auto const b = pool.allocate(2U);
      CHECK_FALSE(pool.allocate_for(2ms, 3U));
      CHECK_FALSE(pool.try_allocate(3U));
    }
    GrowingPool<int, Stats> growing(1);
    auto const one = growing.allocate(1);
    auto const two = growing.allocate(2);
  }
  ChromeTrace::stop();
  CHECK(ChromeTrace::dropped() == 0);
  CHECK(ChromeTrace::recorded() == 11);
  Json const json = trace();
  CHECK(json["otherData"]["dropped_events"].text == "0");
  CHECK(json["otherData"]["recorded_events"].text == "11");
  CHECK(of_phase(json, "i").size() == 10);
  CHECK(of_phase(json, "M").size() == 1);
  for (Json const& event : json["traceEvents"].items) {
    CHECK(event["name"].kind == Json::Kind::string);
    CHECK(event["pid"].number() == 1);
    CHECK(event["tid"].number() >= 0);
    if (event["ph"].text != "M") CHECK(event["ts"].number() >= 0);
    if (event["ph"].text == "i") CHECK(event["s"].text == "t");
  }
  auto const waits = of_phase(json, "X");
  REQUIRE(waits.size() == 1);
  CHECK(waits[0]["dur"].number() >= 1000);
  CHECK(waits[0]["args"]["served"].text == "false");
  CHECK(waits[0]["name"].text == "odd \"name\"\n\x01 \xc3\xa4 ??: wait");
  CHECK(with_name(json, "odd \"name\"\n\x01 \xc3\xa4 ??: allocate") == 2);
  CHECK(with_name(json, "odd \"name\"\n\x01 \xc3\xa4 ??: free") == 2);
  CHECK(with_name(json, "odd \"name\"\n\x01 \xc3\xa4 ??: fail") == 1);
  CHECK(with_name(json, "int: grow") == 1);
  auto const counters = of_phase(json, "C");
  REQUIRE(counters.size() == 10);  // all but the wait in vain
  CHECK(counters.front()["args"]["live"].number() == 1);
  CHECK(counters.front()["args"]["free"].number() == 1);
  CHECK(counters.back()["args"]["live"].number() == 0);
  CHECK(counters.back()["args"]["free"].number() == 2);
  for (Json const& counter : counters) CHECK(counter["id"].text.substr(0, 2) == "0x");
  ChromeTrace::clear();
}

TEST_CASE("ChromeTrace: a long name is cut between characters") {
  using Stats = TraceStats<ChromeTrace>;
  std::string name = "123456789 123456789 123456789 ";  // 30 of 31 bytes
  name += "\xe2\x82\xac";
  ChromeTrace::start(10);
  FixedPool<int, Stats> pool(named(1, name));
  (void)pool.allocate(1);
  CHECK(with_name(trace(), name.substr(0, 30) + ": allocate") == 1);
  ChromeTrace::clear();
}

TEST_CASE("ChromeTrace: any period between counters will do") {
  FixedPool<int, TraceStats<ChromeTrace>> pool(named(4, "often"));
  auto const counters = [&](std::chrono::nanoseconds period) {
    ChromeTrace::start(100, period);
    for (int i = 0; i != 3; ++i) {
      auto const handle = pool.allocate(i);
    }
    ChromeTrace::stop();
    return of_phase(trace(), "C").size();
  };
  CHECK(counters(std::chrono::nanoseconds::max()) == 1);
  CHECK(counters(std::chrono::nanoseconds::min()) == 6);
  CHECK(counters(0ns) == 6);
  ChromeTrace::clear();
}

TEST_CASE("ChromeTrace: drops what has no room, and says so") {
  using Stats = TraceStats<ChromeTrace>;
  FixedPool<int, Stats> pool(1);
  ChromeTrace::start(3);
  for (int i = 0; i != 4; ++i) (void)pool.allocate(i);
  CHECK(ChromeTrace::recorded() == 3);
  CHECK(ChromeTrace::dropped() == 5);
  CHECK(trace()["otherData"]["dropped_events"].text == "5");
  CHECK(of_phase(trace(), "i").size() == 3);
  CHECK(of_phase(trace(), "C").size() == 1);  // the period has not passed
  ChromeTrace::start(3);                      // forgets
  CHECK(ChromeTrace::recorded() == 0);
  CHECK(ChromeTrace::is_on());
  ChromeTrace::start(0);
  (void)pool.allocate(1);
  CHECK(ChromeTrace::dropped() == 2);
  ChromeTrace::clear();
  CHECK_FALSE(ChromeTrace::is_on());
  CHECK(ChromeTrace::recorded() == 0);
  CHECK(trace()["traceEvents"].items.size() == 1);
}

TEST_CASE("ChromeTrace: writes files") {
  using Stats = TraceStats<ChromeTrace>;
  FixedPool<int, Stats> pool(1);
  ChromeTrace::start(10);
  (void)pool.allocate(1);
  ChromeTrace::stop();
  auto const path = std::filesystem::temp_directory_path() / "fastalloc_trace_test.json";
  REQUIRE(ChromeTrace::save(path.string().c_str()));
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  CHECK(text.str() == ChromeTrace::to_json());
  std::filesystem::remove(path);
  CHECK_FALSE(ChromeTrace::save("/no/such/folder/trace.json"));
  std::FILE* const read_only = std::fopen("/dev/null", "rb");
  if (read_only != nullptr) {
    CHECK_FALSE(ChromeTrace::write(read_only));
    std::fclose(read_only);
  }
  ChromeTrace::clear();
}

TEST_CASE("ChromeTrace: threads record while others start, stop and read") {
  using Stats = TraceStats<ChromeTrace>;
  ThreadSafePool<long, Stats> pool(named(64, "shared"));
  ThreadLocalPool<long, Stats> local(64);
  std::atomic<bool> go_on{true};
  std::vector<std::thread> threads;
  ChromeTrace::start(5000);
  for (int t = 0; t != 3; ++t)
    threads.emplace_back([&] {
      while (go_on.load()) {
        auto const a = pool.try_allocate(1);
        auto const b = local.allocate(1);
        auto elsewhere = local.allocate(2);
        std::thread([&] { elsewhere.reset(); }).join();  // may not ask for the usage
      }
    });
  for (int i = 0; i != 30; ++i) {
    if (i % 3 == 0) ChromeTrace::start(i % 2 == 0 ? 500 : 20);
    CHECK(test::JsonParser::parse(ChromeTrace::to_json()).kind == Json::Kind::object);
    std::this_thread::sleep_for(1ms);
  }
  go_on = false;
  for (std::thread& thread : threads) thread.join();
  ChromeTrace::clear();
  CHECK(pool.allocated() == 0);
}
