// SPDX-License-Identifier: MIT OR Apache-2.0
// ChromeTrace: a sink for TraceStats that records events, and writes them in Chrome's trace format, which Perfetto
// (ui.perfetto.dev) and chrome://tracing open.
//
//   FixedPool<Order, TraceStats<ChromeTrace>> orders(PoolConfig{.capacity = 1000, .name = "orders"});
//   ChromeTrace::start();
//   ...
//   ChromeTrace::stop();
//   ChromeTrace::save("orders.trace.json");
//
//   records_ -> | ready, kind, thread, time, ..., name | record 1 | ... | record n-1 |      one array, made by start()
//   claimed_    the next record: threads claim records by an increment, and what comes after the last is dropped
//
// Recording takes no lock and no memory. (A ring that keeps the last events lost: a reader would have to stop all
// writers.)
#pragma once

#include <fastalloc/arithmetic.hpp>
#include <fastalloc/debug/text.hpp>
#include <fastalloc/debug/trace_stats.hpp>
#include <fastalloc/lock/spin_lock.hpp>
#include <fastalloc/stats/report.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace fastalloc::detail::inline FASTALLOC_STATE {

struct TraceRecord {
  std::atomic<bool> ready{false};
  std::uint8_t kind = 0;  ///< a TraceKind
  bool served = false;
  bool has_usage = false;
  std::uint8_t name_length = 0;
  std::uint8_t type_length = 0;
  std::uint32_t thread = 0;
  std::int64_t begin = 0;     ///< nanoseconds of the steady clock
  std::int64_t duration = 0;  ///< nanoseconds
  void const* pool = nullptr;
  void const* address = nullptr;
  std::uint64_t count = 0;  ///< bytes of an object, or what the event counts
  std::size_t live = 0;
  std::size_t capacity = 0;
  char name[31] = {};
  char type[31] = {};
};

struct TraceRecords {
  std::unique_ptr<TraceRecord[]> all;
  std::size_t size = 0;
  std::int64_t begin = 0;
  std::int64_t counter_period = 0;
  std::atomic<std::size_t> claimed{0};
  std::atomic<std::int64_t> last_usage[64] = {};  ///< when a pool was last asked, by a hash of its address
};

struct TraceState {
  std::atomic<TraceRecords*> records{nullptr};
  std::atomic<std::size_t> inside{0};     ///< threads that use `records`
  std::atomic<std::uint32_t> threads{0};  ///< that ever recorded an event
};
FASTALLOC_ONE constinit TraceState trace_state{};
FASTALLOC_ONE constinit std::atomic<bool> trace_is_on{false};

}  // namespace fastalloc::detail::inline FASTALLOC_STATE

namespace fastalloc::inline FASTALLOC_MODE {

/// The one record of the program. Thread safety: any function at any time, except that the function which starts waits
/// for threads that record an event, so a sink, a lock policy or a storage must not call it.
class ChromeTrace {
 public:
  static constexpr std::size_t default_events = 65'536;

  [[nodiscard]] FASTALLOC_ALWAYS_INLINE static bool is_on() noexcept {
    return detail::trace_is_on.load(std::memory_order_relaxed);  // relaxed: as in TraceSwitch
  }

  /// Effects: forgets what was recorded, makes room for `events` (128 to 176 bytes each), and switches on. A pool's
  /// usage is recorded with its events, but with those of objects not more often than every `counter_period`.
  /// Throws: std::bad_alloc; nothing has then changed.
  static void start(std::size_t events = default_events,
                    std::chrono::nanoseconds counter_period = std::chrono::microseconds(100)) {
    auto made = std::make_unique<detail::TraceRecords>();
    made->all = std::make_unique<detail::TraceRecord[]>(events);
    made->size = events;
    made->begin = now();
    constexpr std::chrono::nanoseconds most = std::chrono::hours(24 * 365);  // sums of times must not overflow
    made->counter_period =
        (counter_period < most ? counter_period < most.zero() ? most.zero() : counter_period : most).count();
    for (auto& last : made->last_usage) last.store(made->begin - made->counter_period, std::memory_order_relaxed);
    stop();
    replace(made.release());
    detail::trace_is_on.store(true, std::memory_order_relaxed);  // relaxed: event() loads the records anew
  }
  /// Effects: switches off. What was recorded stays.
  static void stop() noexcept { detail::trace_is_on.store(false, std::memory_order_relaxed); }
  /// Effects: switches off, and gives back the memory.
  static void clear() noexcept { stop(), replace(nullptr); }

  /// Events that were recorded; those for which there was no room.
  [[nodiscard]] static std::size_t recorded() noexcept {
    return Use().ask([](detail::TraceRecords const& r) { return detail::smaller(claimed(r), r.size); });
  }
  [[nodiscard]] static std::size_t dropped() noexcept {
    return Use().ask([](detail::TraceRecords const& r) { return claimed(r) - detail::smaller(claimed(r), r.size); });
  }

  /// Returns: the trace as JSON, in UTF-8. Objects and failures are instants, waits have a duration, usage is a counter
  /// for each pool; all have names that begin with that of the pool or its type. "otherData" has the number of dropped
  /// events. Throws: std::bad_alloc. Complexity: linear in the events; ask for it after stop().
  [[nodiscard]] static std::string to_json() {
    std::string out;
    put([&](std::string_view text) { return out += text, true; });
    return out;
  }
  /// Effects: writes to_json(), event by event. Returns: false if not all was written. Throws: std::bad_alloc.
  static bool write(std::FILE* file) {
    return put([&](std::string_view text) { return std::fwrite(text.data(), 1, text.size(), file) == text.size(); });
  }
  /// The same for the file `path`, which is replaced.
  static bool save(char const* path) {
    std::FILE* file = nullptr;
#if defined(_MSC_VER) && defined(_WIN32)
    if (::fopen_s(&file, path, "wb") != 0) return false;
#else
    file = std::fopen(path, "wb");
#endif
    if (file == nullptr) return false;
    struct Close {
      std::FILE* file;
      ~Close() {
        if (file != nullptr) std::fclose(file);
      }
    } close{file};
    bool const written = write(file);
    return std::fclose(std::exchange(close.file, nullptr)) == 0 && written;
  }

  /// For TraceStats.
  static void event(TraceEvent const& e) noexcept {
    std::int64_t const time = now();
    Use const use;
    if (use.records == nullptr) return;
    detail::TraceRecords& records = *use.records;
    // relaxed: only the number matters
    std::size_t const at = records.claimed.fetch_add(1, std::memory_order_relaxed);
    if (at >= records.size) return;
    detail::TraceRecord& to = records.all[at];
    to.kind = static_cast<std::uint8_t>(e.kind);
    to.served = e.served;
    to.thread = thread_number();
    to.begin = time - e.wait.count();
    to.duration = e.wait.count();
    to.pool = e.pool;
    to.address = e.address;
    to.count = e.address != nullptr ? e.bytes : e.count;
    to.name_length = copy(e.pool_name, to.name);
    to.type_length = copy(e.type_name, to.type);
    if (asks_now(records, e, time)) {
      PoolUsage const usage = e.usage();
      to.has_usage = usage.is_known;
      to.live = usage.live;
      if (e.kind == TraceKind::freed && to.live != 0) --to.live;  // its slot is returned next
      to.capacity = usage.capacity;
    }
    to.ready.store(true, std::memory_order_release);  // release: publishes the record
  }

 private:
  /// While it lives, the records stay.
  struct Use {
    detail::TraceRecords* records;

    // seq_cst: replace() changes the pointer, then looks for users; a user enters, then loads the pointer.
    Use() noexcept {
      detail::trace_state.inside.fetch_add(1, std::memory_order_seq_cst);
      records = detail::trace_state.records.load(std::memory_order_seq_cst);
    }
    // release: the records are deleted after the last use.
    ~Use() { detail::trace_state.inside.fetch_sub(1, std::memory_order_release); }
    Use(Use const&) = delete;
    Use& operator=(Use const&) = delete;

    template <class F> [[nodiscard]] std::size_t ask(F&& f) const noexcept {
      return records == nullptr ? std::size_t{0} : f(*records);
    }
  };
  static void replace(detail::TraceRecords* made) noexcept {
    // Two threads may be here: each waits until nobody uses what it took.
    std::unique_ptr<detail::TraceRecords> const old(
        detail::trace_state.records.exchange(made, std::memory_order_seq_cst));
    if (old == nullptr) return;
    // seq_cst: as in Use; acquire of the users' releases
    while (detail::trace_state.inside.load(std::memory_order_seq_cst) != 0) detail::yield();
  }

  static std::size_t claimed(detail::TraceRecords const& r) noexcept {
    return r.claimed.load(std::memory_order_relaxed);  // relaxed: only the number matters
  }
  static std::int64_t now() noexcept {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
  }
  static std::uint32_t thread_number() noexcept {
    // relaxed: only the number matters
    static thread_local std::uint32_t const number =
        1 + detail::trace_state.threads.fetch_add(1, std::memory_order_relaxed);
    return number;
  }
  static bool asks_now(detail::TraceRecords& records, TraceEvent const& e, std::int64_t time) noexcept {
    if (e.address == nullptr) return true;
    std::size_t const hash = reinterpret_cast<std::uintptr_t>(e.pool) / 64 * 0x9e3779b9U >> 7 & 63;
    // relaxed: two threads that ask at once do no harm
    if (time - records.last_usage[hash].load(std::memory_order_relaxed) < records.counter_period) return false;
    records.last_usage[hash].store(time, std::memory_order_relaxed);
    return true;
  }

  /// Copies as many whole characters as fit, with '?' for what is not UTF-8. Returns: the bytes.
  template <std::size_t N> static std::uint8_t copy(std::string_view text, char (&to)[N]) noexcept {
    std::size_t size = 0;
    while (!text.empty()) {
      std::size_t const length = detail::character(text);
      if (size + (length == 0 ? 1 : length) > N) break;
      if (length == 0) to[size] = '?';
      else std::memcpy(to + size, text.data(), length);
      size += length == 0 ? 1 : length;
      text.remove_prefix(length == 0 ? 1 : length);
    }
    return static_cast<std::uint8_t>(size);
  }

  static std::string address(void const* p) {
    char text[2 + 2 * sizeof p];
    auto const end = std::to_chars(text, text + sizeof text, reinterpret_cast<std::uintptr_t>(p), 16).ptr;
    return "\"0x" + std::string(text, end) + "\"";
  }
  /// Microseconds, with three decimals.
  static std::string microseconds(std::int64_t nanoseconds) {
    if (nanoseconds < 0) nanoseconds = 0;  // a wait that began before start()
    std::string digits = detail::decimal(nanoseconds);
    if (digits.size() < 4) digits.insert(0, 4 - digits.size(), '0');
    return digits.insert(digits.size() - 3, 1, '.');
  }

  template <class Write> static bool put(Write&& write) {
    if (!write("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
               R"({"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"fastalloc"}})"))
      return false;
    Use const use;
    std::size_t const count =
        use.ask([](detail::TraceRecords const& r) { return detail::smaller(claimed(r), r.size); });
    for (std::size_t i = 0; i != count; ++i) {
      detail::TraceRecord const& record = use.records->all[i];
      // acquire: pairs with the release in event()
      if (record.ready.load(std::memory_order_acquire) && !write(text_of(record, use.records->begin))) return false;
    }
    std::size_t const dropped = use.ask([&](detail::TraceRecords const& r) { return claimed(r) - count; });
    std::string out = "\n],\"otherData\":{\"source\":\"fastalloc\",\"recorded_events\":\"";
    detail::append(out, detail::decimal(count), "\",\"dropped_events\":\"", detail::decimal(dropped), "\"}}\n");
    return write(out);
  }
  static std::string text_of(detail::TraceRecord const& r, std::int64_t begin) {
    static constexpr std::string_view names[] = {"allocate", "free", "grow", "fail", "wait"};
    std::string_view const type(r.type, r.type_length);
    std::string title(r.name_length != 0 ? std::string_view(r.name, r.name_length) : type);
    std::string const time = microseconds(r.begin - begin);
    std::string const pool = address(r.pool);
    std::string out = ",\n{\"name\":";
    bool const lasts = r.kind == static_cast<std::uint8_t>(TraceKind::waited);
    detail::append(out, detail::json_string(title + ": " + std::string(names[r.kind])),
                   ",\"cat\":\"fastalloc\",\"ph\":\"", lasts ? "X\",\"dur\":" : "i\",\"s\":\"t\"",
                   lasts ? microseconds(r.duration) : "", ",\"ts\":", time,
                   ",\"pid\":1,\"tid\":", detail::decimal(r.thread), ",\"args\":{\"pool\":", pool,
                   ",\"type\":", detail::json_string(type));
    if (r.address != nullptr)
      detail::append(out, ",\"address\":", address(r.address), ",\"bytes\":", detail::decimal(r.count));
    else if (lasts) detail::append(out, ",\"served\":", r.served ? "true" : "false");
    else detail::append(out, ",\"count\":", detail::decimal(r.count));
    out += "}}";
    if (r.has_usage) {
      std::size_t const free = r.capacity > r.live ? r.capacity - r.live : 0;
      detail::append(out, ",\n{\"name\":", detail::json_string(title + ": slots"),
                     ",\"cat\":\"fastalloc\",\"ph\":\"C\",\"ts\":", microseconds(r.begin + r.duration - begin),
                     ",\"pid\":1,\"tid\":0,\"id\":", pool, ",\"args\":{\"live\":", detail::decimal(r.live),
                     ",\"free\":", detail::decimal(free), "}}");
    }
    return out;
  }
};

}  // namespace fastalloc::inline FASTALLOC_MODE
