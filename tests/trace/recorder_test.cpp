// SPDX-License-Identifier: MIT OR Apache-2.0
// The recorder on recorded_program.cpp, whose calls are known: every function, order across threads, children, and each
// way in which a program can leave.
#include "support.hpp"

#include <support/catch.hpp>

#include <csignal>
#include <map>

using namespace trace_test;
using Catch::Matchers::ContainsSubstring;

namespace {

// By a name without the spaces and colons that separate the entries of LD_PRELOAD.
std::string preload(Folder const& folder) {
  fs::path const link = folder / ".record.so";
  if (!fs::exists(link)) {
    fs::create_symlink(RECORDER, link);
  }
  return "LD_PRELOAD=" + link.string();
}

Outcome record(Folder const& folder, std::string const& mode, std::string const& name) {
  return run(folder, {RECORDED_PROGRAM, mode}, {preload(folder), "FASTALLOC_TRACE=" + name});
}

struct Call {
  Kind kind;
  std::uint64_t size;  // free: of the object that dies
  std::uint64_t old;   // reallocate: size of the object that dies
  bool operator==(Call const&) const = default;
};

std::ostream& operator<<(std::ostream& out, Call const& call) {
  return out << "{" << static_cast<int>(call.kind) << ", " << call.size << ", " << call.old << "}";
}

struct Heard {
  std::vector<Call> calls;
  std::vector<std::uint32_t> threads;    // of each call
  std::vector<unsigned> alignment_log2;  // of each call
};

// The calls that concern objects of these sizes: the program's own, without those of its libraries.
Heard hear(Trace const& trace, std::uint64_t least, std::uint64_t most) {
  Heard heard;
  std::map<std::uint64_t, std::uint64_t> sizes;
  for (Event const& event : all_events(trace)) {
    Call const call{event.kind, event.kind == Kind::free ? sizes.at(event.object) : event.size,
                    event.kind == Kind::reallocate ? sizes.at(event.old) : 0};
    if (event.kind != Kind::free) {
      sizes[event.object] = event.size;
    }
    if (call.size >= least && call.size <= most) {
      heard.calls.push_back(call);
      heard.threads.push_back(event.thread);
      heard.alignment_log2.push_back(event.alignment_log2);
    }
  }
  return heard;
}

constexpr std::uint64_t base = 900'000;
Heard hear_large(Trace const& trace) { return hear(trace, base, 999'999); }
Heard hear_small(Trace const& trace) { return hear(trace, 900, 999); }

Call allocated(std::uint64_t n) { return {Kind::allocate, base + n, 0}; }
Call freed(std::uint64_t n) { return {Kind::free, base + n, 0}; }

std::vector<std::string> files_in(Folder const& folder) {
  std::vector<std::string> names;
  for (auto const& entry : fs::directory_iterator(folder.path())) {
    if (entry.path().filename().string().front() != '.') {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::uint64_t live_after(Heard const& heard) {
  std::uint64_t live = 0;
  for (Call const& call : heard.calls) {
    live += call.kind == Kind::free ? std::uint64_t{0} - 1 : call.kind == Kind::reallocate ? 0 : 1;
  }
  return live;
}

}  // namespace

TEST_CASE("every function that allocates or frees is recorded, and nothing that fails") {
  Folder const folder;
  Outcome const outcome = record(folder, "every", "a.trace");
  REQUIRE(outcome.code == 0);
  CHECK(outcome.errors.empty());
  Trace const trace((folder / "a.trace").string());
  CHECK(trace.ending() == Ending::regular);
  CHECK(trace.threads() == 1);
  CHECK(trace.pid() == static_cast<std::uint32_t>(outcome.pid));
  CHECK(std::string(RECORDED_PROGRAM).find(trace.program()) != std::string::npos);

  auto const aligned = [](std::uint64_t size) { return Call{Kind::allocate_aligned, size, 0}; };
  Heard const heard = hear_large(trace);
  CHECK(heard.calls == std::vector<Call>{allocated(1),
                                         {Kind::allocate_zeroed, base + 9, 0},
                                         {Kind::reallocate, base + 3, base + 1},
                                         aligned(base + 4),
                                         aligned(4096 * 230),
                                         aligned(base + 6),
                                         aligned(base + 7),
                                         aligned(4096 * 231),
                                         allocated(10),
                                         allocated(20),
                                         allocated(12),
                                         aligned(128 * 7040),
                                         allocated(14),
                                         allocated(14),
                                         freed(14),
                                         freed(14),
                                         {Kind::free, 128 * 7040, 0},
                                         freed(12),
                                         freed(20),
                                         freed(10),
                                         {Kind::free, 4096 * 231, 0},
                                         freed(7),
                                         freed(6),
                                         {Kind::free, 4096 * 230, 0},
                                         freed(4),
                                         freed(9),
                                         freed(3)});
  auto const log2 = heard.alignment_log2;
  REQUIRE(log2.size() > 11);
  CHECK(std::vector<unsigned>(log2.begin() + 3, log2.begin() + 8) == std::vector<unsigned>{8, 12, 6, 12, 12});
  CHECK(log2[11] == 7);
}

TEST_CASE("calls of two threads are recorded in the order in which they took effect") {
  Folder const folder;
  REQUIRE(record(folder, "threads", "a.trace").code == 0);
  Trace const trace((folder / "a.trace").string());
  CHECK(trace.threads() == 3);
  Heard const heard = hear_large(trace);
  std::vector<Call> expected;
  for (std::uint64_t round = 0; round != 10; ++round) {
    if (round != 0) {
      expected.push_back(freed(100 + round - 1));
    }
    expected.push_back(allocated(round));
    expected.push_back({Kind::reallocate, base + 100 + round, base + round});
  }
  expected.push_back(freed(109));
  REQUIRE(heard.calls == expected);
  std::uint32_t const first = heard.threads[0];
  CHECK((first == 1 || first == 2));  // which of them allocates first is up to the system
  for (std::size_t i = 0; i + 1 != heard.threads.size(); ++i) {
    CAPTURE(i);
    CHECK(heard.threads[i] == ((i + 1) / 3 % 2 == 0 ? first : 3 - first));
  }
  CHECK(heard.threads.back() == 0);
}

TEST_CASE("many threads that free each other's objects leave a consistent trace") {
  Folder const folder;
  REQUIRE(record(folder, "storm", "a.trace").code == 0);
  Trace const trace((folder / "a.trace").string());  // has checked that nothing dies twice or before it is born
  CHECK(trace.ending() == Ending::regular);
  CHECK(trace.threads() == 13);
  Heard const heard = hear_small(trace);
  auto const frees =
      std::count_if(heard.calls.begin(), heard.calls.end(), [](Call const& call) { return call.kind == Kind::free; });
  CHECK(frees >= 3 * 4 * 5'000);
  CHECK(live_after(heard) == 0);
}

TEST_CASE("a forked child writes a file of its own") {
  Folder const folder;
  Outcome const outcome = record(folder, "fork", "a.trace");
  REQUIRE(outcome.code == 0);
  auto const files = files_in(folder);
  REQUIRE(files.size() == 2);
  CHECK(files[0] == "a.trace");
  CHECK_THAT(files[1], Catch::Matchers::StartsWith("a.trace."));
  Trace const parent((folder / files[0]).string());
  CHECK(parent.ending() == Ending::regular);
  CHECK(hear_large(parent).calls == std::vector<Call>{allocated(1), allocated(3), freed(3), freed(1)});
  Trace const child((folder / files[1]).string());
  CHECK(files[1] == "a.trace." + std::to_string(child.pid()));
  CHECK(child.ending() == Ending::regular);
  CHECK(child.threads() == 1);
  CHECK(hear_large(child).calls == std::vector<Call>{allocated(2), freed(2)});
}

TEST_CASE("forks while other threads are in the recorder are safe") {
  Folder const folder;
  REQUIRE(record(folder, "fork_threads", "b.%p.trace").code == 0);
  auto const files = files_in(folder);
  CHECK(files.size() == 21);
  for (std::string const& file : files) {
    CAPTURE(file);
    Trace const trace((folder / file).string());
    CHECK(trace.ending() == Ending::regular);
    CHECK(file == "b." + std::to_string(trace.pid()) + ".trace");
    CHECK(live_after(hear_small(trace)) == 0);
  }
}

TEST_CASE("a program that is started by exec writes a file of its own, and an exec that fails does no harm") {
  Folder const folder;
  for (std::string const name : {"a.trace", "b.%p.trace"}) {
    Outcome const outcome = record(folder, "exec", name);
    REQUIRE(outcome.code == 0);
    std::string const pid = std::to_string(outcome.pid);
    Trace const before((folder / (name == "a.trace" ? name : "b." + pid + ".trace")).string());
    Trace const after((folder / (name == "a.trace" ? name + "." + pid : "b." + pid + ".trace.2")).string());
    CHECK(before.ending() == Ending::regular);
    CHECK(after.ending() == Ending::regular);
    CHECK(hear_large(before).calls == std::vector<Call>{allocated(1), freed(1), allocated(2), freed(2)});
    CHECK(hear_large(after).calls == std::vector<Call>{allocated(1), freed(1)});
  }
}

TEST_CASE("however a program leaves, its calls are there") {
  Folder const folder;
  struct Way {
    std::string mode;
    int code;
    int signal;
    Ending ending;
  };
  for (Way const& way : {Way{"exit", 7, 0, Ending::regular}, Way{"_exit", 7, 0, Ending::regular},
                         Way{"quick_exit", 7, 0, Ending::regular}, Way{"abort", -1, SIGABRT, Ending::none},
                         Way{"kill", -1, SIGKILL, Ending::none}}) {
    CAPTURE(way.mode);
    Outcome const outcome = record(folder, way.mode, "a.trace");  // replaces the file of the last round
    CHECK(outcome.code == way.code);
    CHECK(outcome.signal == way.signal);
    Trace const trace((folder / "a.trace").string());
    CHECK(trace.ending() == way.ending);
    CHECK(hear_large(trace).calls == std::vector<Call>{allocated(1)});
  }
}

TEST_CASE("a program that knows nothing of the recorder behaves as without it") {
  Folder const folder;
  Outcome const outcome = run(folder, {"/bin/sh", "-c", "echo hello $(echo from a child); exit 3"},
                              {preload(folder), "FASTALLOC_TRACE=sh.trace"});
  CHECK(outcome.code == 3);
  CHECK(outcome.output == "hello from a child\n");
  CHECK(outcome.errors.empty());
  for (std::string const& file : files_in(folder)) {
    CHECK(Trace((folder / file).string()).ending() == Ending::regular);
  }
  CHECK(Trace((folder / "sh.trace").string()).events() > 0);
}

TEST_CASE("a program that leaves its folder and closes all descriptors is recorded to its end") {
  Folder const folder;
  REQUIRE(record(folder, "daemon", "a.trace").code == 0);
  Trace const trace((folder / "a.trace").string());
  CHECK(trace.ending() == Ending::regular);
  CHECK(hear_small(trace).calls.size() >= 200'000);
}

TEST_CASE("without a name the file lies in the working folder") {
  Folder const folder;
  Outcome const outcome = run(folder, {RECORDED_PROGRAM, "one"}, {preload(folder), "FASTALLOC_TRACE="});
  REQUIRE(outcome.code == 0);
  CHECK(files_in(folder) == std::vector<std::string>{"fastalloc." + std::to_string(outcome.pid) + ".trace"});
}

TEST_CASE("when the disk is full, the recording stops and the program goes on") {
  Folder const folder;
  Outcome const outcome = record(folder, "disk_full", "a.trace");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.errors,
             ContainsSubstring("a.trace: File too large: the recording ends here; the program goes on"));
  Trace const trace((folder / "a.trace").string());
  CHECK(trace.ending() == Ending::stopped);
  CHECK(trace.events() > 10'000);
}

TEST_CASE("a place where no file can be written is reported, and nothing is overwritten but a file") {
  Folder const folder;
  Outcome outcome = record(folder, "one", "no/such/folder.trace");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.errors, ContainsSubstring("no/such/folder.trace: No such file or directory: cannot write there"));
  fs::create_directory(folder / "d");
  fs::create_symlink("d", folder / "link");
  for (std::string const name : {"d", "link", "/dev/null"}) {
    outcome = record(folder, "one", name);
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.errors, ContainsSubstring(name + ": Invalid argument: cannot write there"));
  }
  CHECK(files_in(folder) == std::vector<std::string>{"d", "link"});
}
