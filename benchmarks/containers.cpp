// SPDX-License-Identifier: MIT OR Apache-2.0
// The suite of fastalloc-bench-containers: node containers over several sources of memory, and those sources alone.
//
//   churn C n   n elements of int -> 64 bytes live, random keys; one pair: erase a random one, insert another
//   build C n   insert n elements, destroy the container; one pair: an element
//   alone W     the sources through std::pmr::memory_resource, without a container (workloads.hpp)
//   threads T   SynchronizedPoolResource and its peers: T threads, each allocates 64 objects, writes, frees them
//
// The raw free list shows what the container costs: its allocator is a list of free nodes per type and a pointer into
// one array, inlined, with no look at whether anything is left. A source of memory adds its time less that of the raw
// free list in the same round: "beyond".
#include "suite.hpp"
#include "thread_workloads.hpp"

#include <fastalloc/adapters/pool_allocator.hpp>

#include <list>
#include <map>
#include <memory_resource>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <unordered_map>

namespace bench {
namespace {

// ---- sources of memory: `allocator<T>` is what containers are given, get() its value

/// What std::allocator does, by another name: for std::allocator, and for no other, libstdc++'s map::emplace() looks
/// for the key before it allocates, which takes 30 ns. So all sources are measured with the same code of the container.
template <class T> struct HeapAllocator {
  using value_type = T;
  HeapAllocator() = default;
  template <class U> HeapAllocator(HeapAllocator<U>) noexcept {}
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, std::size_t n) noexcept { std::allocator<T>().deallocate(p, n); }
  template <class U> bool operator==(HeapAllocator<U>) const noexcept { return true; }
};
/// The heap; with a library in LD_PRELOAD that one's.
struct Heap {
  template <class T> using allocator = HeapAllocator<T>;
  HeapAllocator<int> get() { return {}; }
};

template <class Resource> struct ByPmr {
  template <class T> using allocator = std::pmr::polymorphic_allocator<T>;
  std::pmr::polymorphic_allocator<int> get() { return &resource; }
  Resource resource;
};

struct ByAllocator {
  template <class T> using allocator = fastalloc::PoolAllocator<T>;
  fastalloc::PoolAllocator<int> get() { return resource; }
  fastalloc::PoolResource resource;
};

/// Room for the nodes of one type, for all of the process. Arrays, as of buckets, come from the heap.
template <class T> struct LimitNodes {
  static constexpr std::size_t room = 2 * medium;
  union Node {
    Node* next;
    alignas(T) std::byte bytes[sizeof(T)];
  };
  static inline Node* free = nullptr;
  static inline Node* fresh = static_cast<Node*>(::operator new(room * sizeof(Node), std::align_val_t{64}));
};

template <class T> struct LimitAllocator {
  using value_type = T;
  LimitAllocator() = default;
  template <class U> LimitAllocator(LimitAllocator<U>) noexcept {}
  T* allocate(std::size_t n) {
    using Nodes = LimitNodes<T>;
    if (n != 1) return std::allocator<T>().allocate(n);
    typename Nodes::Node* const node = Nodes::free;
    if (node == nullptr) return reinterpret_cast<T*>(Nodes::fresh++);
    Nodes::free = node->next;
    return reinterpret_cast<T*>(node);
  }
  void deallocate(T* p, std::size_t n) noexcept {
    using Nodes = LimitNodes<T>;
    if (n != 1) return std::allocator<T>().deallocate(p, n);
    auto* const node = reinterpret_cast<typename Nodes::Node*>(p);
    node->next = std::exchange(Nodes::free, node);
  }
  template <class U> bool operator==(LimitAllocator<U>) const noexcept { return true; }
};
struct LimitSource {
  template <class T> using allocator = LimitAllocator<T>;
  LimitAllocator<int> get() { return {}; }
};

// ---- containers: put(i) adds an element in the place of the i-th one, which pop(i) removes

template <class S, class T> using allocator_of = typename S::template allocator<T>;
using Pair = std::pair<std::uint32_t const, Object>;

/// A set's element: 64 bytes, of which the first word is the key.
struct Element : Object {
  explicit Element(std::uint32_t key) noexcept : Object(key) {}
  bool operator<(Element const& other) const noexcept { return value < other.value; }
};

/// Keys are unique, and the next one is anywhere among the others.
template <class Container, class Value> class Keyed {
 public:
  Keyed(auto allocator, std::size_t n) : container_(allocator), keys_(n) {}
  void put(std::size_t i) {
    keys_[i] = next();
    if constexpr (std::same_as<Value, Pair>) container_.emplace(keys_[i], Object(keys_[i]));
    else container_.emplace(keys_[i]);
  }
  void take(std::size_t i) {
    if constexpr (std::same_as<Value, Pair>) container_.erase(keys_[i]);
    else container_.erase(Value(keys_[i]));
  }
  std::size_t size() const { return container_.size(); }

 private:
  /// A number that did not come before: each step maps the 32-bit numbers one to one. Keys at regular distances would
  /// not do: their neighbours in the tree are neighbours in time, and in memory with it.
  std::uint32_t next() {
    std::uint32_t key = ++last_;
    key = (key ^ key >> 16) * 0x7feb352dU;
    key = (key ^ key >> 15) * 0x846ca68bU;
    return key ^ key >> 16;
  }

  Container container_;
  std::vector<std::uint32_t> keys_;
  std::uint32_t last_ = 0;
};

template <class S>
using Map = Keyed<std::map<std::uint32_t, Object, std::less<std::uint32_t>, allocator_of<S, Pair>>, Pair>;
template <class S> using Set = Keyed<std::set<Element, std::less<Element>, allocator_of<S, Element>>, Element>;
template <class S>
using Unordered = Keyed<std::unordered_map<std::uint32_t, Object, std::hash<std::uint32_t>,
                                           std::equal_to<std::uint32_t>, allocator_of<S, Pair>>,
                        Pair>;

template <class S> class List {
 public:
  List(auto allocator, std::size_t n) : list_(allocator), places_(n) {}
  void put(std::size_t i) { places_[i] = list_.emplace(list_.end(), i); }
  void take(std::size_t i) { list_.erase(places_[i]); }
  std::size_t size() const { return list_.size(); }

 private:
  using Elements = std::list<Object, allocator_of<S, Object>>;
  Elements list_;
  std::vector<typename Elements::iterator> places_;
};

// ---- workloads

template <class S, template <class> class Container, std::size_t N> void churn_container(benchmark::State& state) {
  S source;
  escape(&source);
  Container<S> container(source.get(), N);
  for (std::size_t i = 0; i != N; ++i) container.put(i);
  Random random;
  auto const replace = [&](std::int64_t times) {
    for (; times != 0; --times) {
      std::size_t const i = random.below(N);
      container.take(i);
      container.put(i);
    }
  };
  replace(2 * static_cast<std::int64_t>(N));
  constexpr std::int64_t batch = 4096;
  while (state.KeepRunningBatch(batch)) replace(batch);
  if (container.size() != N) state.SkipWithError("an element is missing");
}

template <class S, template <class> class Container, std::size_t N> void build_container(benchmark::State& state) {
  S source;
  escape(&source);
  auto const build = [&] {
    Container<S> container(source.get(), N);
    for (std::size_t i = 0; i != N; ++i) container.put(i);
    if (container.size() != N) state.SkipWithError("an element is missing");
  };
  build();
  while (state.KeepRunningBatch(N)) build();
}

/// A source alone, through the interface that polymorphic_allocator uses.
template <class Resource> struct Alone {
  using owner = Object*;
  static constexpr bool owner_frees = false;
  explicit Alone(std::size_t) { escape(this); }
  Object* make(std::uint64_t value) { return ::new (by_pmr->allocate(sizeof(Object), alignof(Object))) Object(value); }
  void kill(Object* object) { by_pmr->deallocate(object, sizeof(Object), alignof(Object)); }
  static Object const* object(Object* object) { return object; }
  Resource resource{};
  std::pmr::memory_resource* by_pmr = &resource;
};
struct NewDelete : std::pmr::memory_resource {
  void* do_allocate(std::size_t bytes, std::size_t) override { return ::operator new(bytes); }
  void do_deallocate(void* p, std::size_t bytes, std::size_t) override { ::operator delete(p, bytes); }
  bool do_is_equal(std::pmr::memory_resource const& other) const noexcept override { return this == &other; }
};

// ---- the list of cases

constexpr char const* containers[] = {"map", "set", "unordered_map", "list"};
constexpr char const* sizes[] = {"1k", "100k"};

template <class S, template <class> class Container>
void add_container(std::string const& name, std::string const& subject) {
  cases().push_back({"churn " + name + " 1k", subject, churn_container<S, Container, small>, 1'000'000, 1, false});
  cases().push_back({"churn " + name + " 100k", subject, churn_container<S, Container, medium>, 400'000, 1, false});
  cases().push_back({"build " + name + " 1k", subject, build_container<S, Container, small>, 1'000'000, 1, false});
  cases().push_back({"build " + name + " 100k", subject, build_container<S, Container, medium>, 400'000, 1, false});
}
template <class S> void add_containers(std::string const& subject) {
  add_container<S, Map>("map", subject);
  add_container<S, Set>("set", subject);
  add_container<S, Unordered>("unordered_map", subject);
  add_container<S, List>("list", subject);
}

template <class Resource> void add_alone(std::string const& subject) {
  using S = Alone<Resource>;
  cases().push_back({"alone pair", subject, pair_of<S, false>, 3'000'000, 1, false});
  cases().push_back({"alone bulkRND 1k", subject, bulk<S, Order::random, small>, 1'000'000, 1, false});
  cases().push_back({"alone bulkRND 100k", subject, bulk<S, Order::random, medium>, 1'000'000, 1, false});
  cases().push_back({"alone churn 1k", subject, churn<S, small>, 2'000'000, 1, false});
  cases().push_back({"alone churn 100k", subject, churn<S, medium>, 1'000'000, 1, false});
}
template <class Resource> void add_threads(std::string const& subject) {
  using S = Alone<Resource>;
  cases().push_back({"threads 1", subject, local<S, 1, 64>, 0, 1, true});
  cases().push_back({"threads 2", subject, local<S, 2, 64>, 0, 1, true});
}

Strings columns(std::string const& what) {
  Strings result;
  for (char const* container : containers)
    for (char const* size : sizes) result.push_back(what + " " + container + " " + size);
  return result;
}

/// Times without the raw free list's in the same round.
Results beyond_limit(Results const& measured) {
  Results beyond;
  for (auto const& column : measured.columns()) {
    auto const* limit = measured.rounds("raw free list", column);
    for (auto const& subject : measured.subjects()) {
      auto const* rounds = measured.rounds(subject, column);
      if (limit == nullptr || rounds == nullptr || subject == "raw free list") continue;
      for (std::size_t i = 0; i != std::min(rounds->size(), limit->size()); ++i)
        beyond.add(subject, column, (*rounds)[i] - (*limit)[i]);
    }
  }
  return beyond;
}

void print_targets(std::ostream& out, Results const& results, Strings const& general) {
  Targets targets(results);
  std::string const ours = "PoolResource";
  Strings const alone{"alone pair", "alone bulkRND 1k", "alone bulkRND 100k", "alone churn 1k", "alone churn 100k"};
  Strings all = alone;
  for (auto const& what : {"churn", "build"})
    for (auto const& column : columns(what)) all.push_back(column);
  for (auto const& column : all) {
    targets.faster(column, ours, "std::pmr pool", 3);
    targets.faster(column, ours, "new", 1);
    targets.faster(column, ours, results.fastest(general, column), 1);
  }
  for (char const* column : {"threads 1", "threads 2"}) {
    targets.faster(column, "SynchronizedPoolResource", "std::pmr synchronized pool", 3);
    targets.faster(column, "SynchronizedPoolResource", "new", 1);
  }
  targets.print(out);
}

}  // namespace

void add_all_cases() {
  add_containers<LimitSource>("raw free list");
  add_containers<ByAllocator>("PoolAllocator");
  add_containers<ByPmr<fastalloc::PoolResource>>("PoolResource");
  add_containers<ByPmr<std::pmr::unsynchronized_pool_resource>>("std::pmr pool");
  add_containers<Heap>("new");
  add_alone<fastalloc::PoolResource>("PoolResource");
  add_alone<std::pmr::unsynchronized_pool_resource>("std::pmr pool");
  add_alone<NewDelete>("new");
  add_threads<fastalloc::SynchronizedPoolResource>("SynchronizedPoolResource");
  add_threads<std::pmr::synchronized_pool_resource>("std::pmr synchronized pool");
  add_threads<NewDelete>("new");
}

int rounds_of(std::string const& column, bool quick) {
  if (quick) return column.find("100k") != std::string::npos ? 3 : 5;
  return 9;
}

void print_report(std::ostream& out, Results const& results, Strings const& general) {
  Results const beyond = beyond_limit(results);
  print_group(out, results, "Sources of memory alone, ns per pair",
              {"alone pair", "alone bulkRND 1k", "alone bulkRND 100k", "alone churn 1k", "alone churn 100k"});
  print_group(out, results, "The same for threads", {"threads 1", "threads 2"});
  for (auto const& [what, title] : {std::pair{"churn", "Erase and insert"}, {"build", "Insert all, destroy"}}) {
    print_group(out, results, std::string(title) + ", ns per element", columns(what));
    print_group(out, beyond, std::string(title) + ", ns beyond a raw free list", columns(what));
    print_group(out, results, std::string(title) + ", times PoolResource", columns(what), 1, "PoolResource");
  }
  print_targets(out, results, general);
}

}  // namespace bench
