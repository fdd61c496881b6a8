// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-bench-memory [--markdown FILE] [--svg FILE] [--divide N] [--preload NAME=LIBRARY]...
// Memory of resources over time, while a program loads, drains, mixes sizes, and does so in cycles: bytes in use, held
// by the resource, and resident. Each scenario and source runs in a process of its own; the steps are the same for all.
// --divide: objects divided by N, for a test.
//
// Every byte of an object is written, and nothing else grows meanwhile: the table of objects is mapped before.
#include "memory.hpp"
#include "results.hpp"
#include "spawn.hpp"

#include <fastalloc/adapters/pool_resource.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory_resource>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench::memory {
namespace {

constexpr std::size_t samples_wanted = 160;
constexpr std::size_t most_objects = 1'000'000;
constexpr double mb = 1 << 20;

/// What is in memory now, counted page by page; files do not count. Allocates nothing.
std::uint64_t resident_bytes() {
  int const file = open("/proc/self/smaps_rollup", O_RDONLY);
  char text[4096];
  ssize_t const length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
  if (file >= 0) close(file);
  text[std::max<ssize_t>(length, 0)] = '\0';
  constexpr char label[] = "Anonymous:";
  char const* const line = std::strstr(text, label);
  if (line == nullptr) throw std::runtime_error("/proc/self/smaps_rollup does not tell the resident memory");
  return std::strtoull(line + sizeof label - 1, nullptr, 10) * 1024;
}

// ---- sources of memory

class Source {
 public:
  virtual ~Source() = default;
  virtual std::pmr::memory_resource* resource() = 0;
  virtual std::uint64_t held() = 0;
};

class OurSource final : public Source {
  std::pmr::memory_resource* resource() override { return &pools_; }
  std::uint64_t held() override { return pools_.bytes_held(); }
  fastalloc::PoolResource pools_;
};

class StdSource final : public Source, std::pmr::memory_resource {
  std::pmr::memory_resource* resource() override { return &pools_; }
  std::uint64_t held() override { return held_; }
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    held_ += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    held_ -= bytes;
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }
  std::uint64_t held_ = 0;
  std::pmr::unsynchronized_pool_resource pools_{this};
};

/// The heap; with a library in LD_PRELOAD that one's, which does not tell what it holds.
class HeapSource final : public Source {
 public:
  explicit HeapSource(bool is_preloaded) : is_preloaded_(is_preloaded) {}

 private:
  std::pmr::memory_resource* resource() override { return std::pmr::new_delete_resource(); }
  std::uint64_t held() override {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    if (!is_preloaded_) {
      auto const info = mallinfo2();
      return info.arena + info.hblkhd;
    }
#endif
    return 0;
  }
  bool is_preloaded_;
};

constexpr char const* ours = "PoolResource";
constexpr char const* std_pool = "std::pmr pool";
constexpr char const* heap = "glibc";

std::unique_ptr<Source> source_of(std::string const& subject) {
  if (subject == ours) return std::make_unique<OurSource>();
  if (subject == std_pool) return std::make_unique<StdSource>();
  return std::make_unique<HeapSource>(subject != heap);
}

// ---- the steps

struct Object {
  void* address;
  std::uint32_t bytes;
};

/// The objects of a scenario. Without a source it only counts the steps.
class Objects {
 public:
  Objects(Source* source, std::size_t steps_a_sample) : source_(source), steps_a_sample_(steps_a_sample) {
    constexpr std::size_t bytes = most_objects * sizeof(Object);
    void* const table = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED) throw std::runtime_error("no memory for the table of objects");
    table_ = static_cast<Object*>(table);
    samples_.reserve(2 * samples_wanted);
    if (source_ == nullptr) return;
    resident_before_ = resident_bytes();
    held_before_ = source_->held();
  }
  Objects(Objects const&) = delete;
  Objects& operator=(Objects const&) = delete;
  ~Objects() { munmap(table_, most_objects * sizeof(Object)); }

  std::size_t size() const { return size_; }
  std::uint64_t in_use() const { return in_use_; }
  std::size_t steps() const { return steps_; }
  Samples const& samples() const { return samples_; }

  /// Effects: adds a sample.
  void look() {
    std::uint64_t const resident = resident_bytes();
    samples_.push_back({in_use_, source_->held() - held_before_, resident - std::min(resident, resident_before_)});
  }
  void add(std::size_t bytes) {
    table_[size_++] = made(bytes);
    step();
  }
  void replace(std::size_t i, std::size_t bytes) {
    end(table_[i]);
    table_[i] = made(bytes);
    step();
  }
  void remove(std::size_t i) {
    end(table_[i]);
    table_[i] = table_[--size_];
    step();
  }
  std::size_t below(std::size_t n) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::size_t>((state_ >> 32) * n >> 32);
  }

 private:
  Object made(std::size_t bytes) {
    in_use_ += bytes;
    void* const address = source_ == nullptr ? nullptr : source_->resource()->allocate(bytes, 8);
    if (address != nullptr) std::memset(address, 1, bytes);
    return {address, static_cast<std::uint32_t>(bytes)};
  }
  void end(Object const& object) {
    in_use_ -= object.bytes;
    if (source_ != nullptr) source_->resource()->deallocate(object.address, object.bytes, 8);
  }
  void step() {
    if (++steps_ % steps_a_sample_ == 0 && source_ != nullptr) look();
  }

  Source* source_;
  Object* table_ = nullptr;
  std::size_t size_ = 0;
  std::size_t steps_ = 0;
  std::size_t steps_a_sample_;
  std::uint64_t in_use_ = 0;
  std::uint64_t state_ = 1;
  std::uint64_t resident_before_ = 0;
  std::uint64_t held_before_ = 0;
  Samples samples_;
};

/// Small sizes are frequent, 8 to `most` bytes: each doubling has as many objects as the next one.
std::size_t some_bytes(Objects& objects, std::size_t most) {
  std::size_t bytes = 8;
  std::size_t doublings = 0;
  while (bytes << doublings < most) ++doublings;
  bytes <<= objects.below(doublings);
  return bytes + objects.below(bytes);
}
void remove_all(Objects& objects) {
  while (objects.size() != 0) objects.remove(objects.below(objects.size()));
}

void load(Objects& objects, std::size_t n) {
  for (std::size_t i = 0; i != n; ++i) objects.add(64);
}
void load_and_drain(Objects& objects, std::size_t n) {
  for (std::size_t i = 0; i != n / 8; ++i) objects.add(some_bytes(objects, 4096));
  remove_all(objects);
}
void mixed_sizes(Objects& objects, std::size_t n) {
  for (std::size_t i = 0; i != n / 16; ++i) objects.add(some_bytes(objects, 4096));
  for (std::size_t const most : {std::size_t{4096}, std::size_t{512}, std::size_t{16384}, std::size_t{4096}})
    for (std::size_t i = 0; i != n / 8; ++i) objects.replace(objects.below(objects.size()), some_bytes(objects, most));
}
/// The sizes of a cycle are within a factor of two, and those of the next cycle others.
void ten_cycles(Objects& objects, std::size_t n) {
  for (std::size_t cycle = 0; cycle != 10; ++cycle) {
    std::size_t const least = std::size_t{16} << cycle * 3 % 8;
    while (objects.in_use() < n * 12) objects.add(least + objects.below(least));
    remove_all(objects);
  }
}

struct Scenario {
  char const* name;
  void (*run)(Objects&, std::size_t n);
};
constexpr Scenario scenarios[] = {
    {"load", load}, {"load and drain", load_and_drain}, {"mixed sizes", mixed_sizes}, {"ten cycles", ten_cycles}};

/// In a process of its own: prints the samples.
void run_case(std::string const& name, std::string const& subject, std::size_t divisor, std::string const& library) {
  if (!library.empty()) require_loaded(library.c_str());
  for (Scenario const& scenario : scenarios) {
    if (scenario.name != name) continue;
    std::size_t const n = most_objects / divisor;
    std::size_t steps = 0;
    {
      Objects counted(nullptr, 1);
      scenario.run(counted, n);
      steps = counted.steps();
    }
    auto const source = source_of(subject);
    Objects objects(source.get(), std::max<std::size_t>(steps / samples_wanted, 1));
    scenario.run(objects, n);
    objects.look();
    for (Sample const& sample : objects.samples())
      std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(sample.in_use),
                  static_cast<unsigned long long>(sample.held), static_cast<unsigned long long>(sample.resident));
  }
}

// ---- the report

Curve measure(Scenario const& scenario, std::string const& subject, std::string const& divisor,
              std::string const& library) {
  Curve curve{scenario.name, subject, {}};
  auto const text = output_of({"--case", scenario.name, subject, divisor, library}, library);
  std::istringstream in(text.value_or(""));
  for (Sample sample{}; in >> sample.in_use >> sample.held >> sample.resident;) curve.samples.push_back(sample);
  if (curve.samples.empty()) throw std::runtime_error(std::string(scenario.name) + " with " + subject + " failed");
  return curve;
}

template <class Field> double greatest(Curve const& curve, Field const& field) {
  double most = 0;
  for (Sample const& sample : curve.samples) most = std::max(most, field(sample));
  return most;
}
/// What is beyond 1 MiB, by what is in use, while more is in use than ever before: the worst moment of a load.
template <class Field> double worst(Curve const& curve, Field const& field) {
  double most = 0;
  std::uint64_t peak = 0;
  for (Sample const& sample : curve.samples) {
    if (sample.in_use <= peak) continue;
    peak = sample.in_use;
    most = std::max(most, (field(sample) - mb) / static_cast<double>(peak));
  }
  return most;
}

void print(std::ostream& out, std::vector<Curve> const& curves) {
  auto const held = [](Sample const& sample) { return static_cast<double>(sample.held); };
  auto const resident = [](Sample const& sample) { return static_cast<double>(sample.resident); };
  auto const in_use = [](Sample const& sample) { return static_cast<double>(sample.in_use); };
  out << machine() << "; MB. At its worst: less 1 MB, by what is in use, while that grows.\n";
  for (Scenario const& scenario : scenarios) {
    std::vector<Strings> rows{{std::string("**") + scenario.name + "**", "peak in use", "peak held", "peak resident",
                               "resident at the end", "held, at its worst", "resident, at its worst"}};
    for (Curve const& curve : curves) {
      if (curve.scenario != scenario.name) continue;
      bool const tells = greatest(curve, held) > 0;
      rows.push_back({curve.subject, number(greatest(curve, in_use) / mb),
                      tells ? number(greatest(curve, held) / mb) : "–", number(greatest(curve, resident) / mb),
                      number(resident(curve.samples.back()) / mb), tells ? number(worst(curve, held)) : "–",
                      number(worst(curve, resident))});
    }
    out << '\n';
    print_table(out, rows);
  }
}

void write(std::string const& name, std::string const& text) {
  if (!name.empty() && !(std::ofstream(name) << text)) throw std::runtime_error("cannot write " + name);
}

void run_all(Strings const& arguments) {
  std::string markdown, svg, divisor = "1";
  auto preloads = preloads_of(BENCH_PRELOADS);
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    std::string const& name = arguments[i];
    std::string const& value = arguments[i + 1];
    if (name == "--markdown") markdown = value;
    else if (name == "--svg") svg = value;
    else if (name == "--divide") divisor = value;
    else if (name == "--preload") preloads.push_back(preload_of(value));
    else throw std::runtime_error("unknown option " + name + "; see the head of benchmarks/memory.cpp");
  }
  if (arguments.size() % 2 != 0) throw std::runtime_error(arguments.back() + " wants a value");
  std::vector<Curve> curves;
  for (Scenario const& scenario : scenarios) {
    for (char const* const subject : {ours, std_pool, heap}) curves.push_back(measure(scenario, subject, divisor, ""));
    for (auto const& [subject, library] : preloads) curves.push_back(measure(scenario, subject, divisor, library));
    std::cerr << '.' << std::flush;
  }
  std::cerr << '\n';
  std::ostringstream tables, picture;
  print(tables, curves);
  write_svg(picture, curves, {ours, std_pool, heap}, machine());
  std::cout << tables.str();
  write(markdown, tables.str());
  write(svg, picture.str());
}

}  // namespace
}  // namespace bench::memory

int main(int argc, char** argv) {
  bench::Strings const arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 5 && arguments[0] == "--case")
      bench::memory::run_case(arguments[1], arguments[2], std::stoul(arguments[3]), arguments[4]);
    else bench::memory::run_all(arguments);
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-bench-memory: " << error.what() << '\n';
    return 1;
  }
}
