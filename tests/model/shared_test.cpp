// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on SharedHandle and WeakHandle, and the same ones on std::shared_ptr and std::weak_ptr: after each
// of them the counts are the same, the same objects have died in the same order, and the pool holds a slot for each
// object that some handle still knows. Objects hold handles to each other, and use them while they die.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "model/model_test.hpp"

using namespace fastalloc;

namespace {

constexpr std::size_t strongs = 12, weaks = 12, slots = 16;

template <class Family> struct Node;

/// One side of the comparison.
struct Standard {
  template <class T> using Strong = std::shared_ptr<T>;
  template <class T> using Weak = std::weak_ptr<T>;
  std::shared_ptr<Node<Standard>> make(int id) { return std::make_shared<Node<Standard>>(id, *this); }
  static Weak<Node<Standard>> weak(Strong<Node<Standard>> const& strong) { return strong; }
  std::vector<int> died{};
  std::map<int, Node<Standard>*> living{};
};
template <class Policies> struct Pooled {
  template <class T> using Strong = SharedHandle<T>;
  template <class T> using Weak = WeakHandle<T>;
  using Pool = typename Policies::template pool<Node<Pooled>>;
  SharedHandle<Node<Pooled>> make(int id) { return pool.allocate(id, *this).share(); }
  static Weak<Node<Pooled>> weak(Strong<Node<Pooled>> const& strong) { return strong.downgrade(); }
  std::vector<int> died{};
  std::map<int, Node<Pooled>*> living{};
  Pool pool{Policies::config};
};

template <class Family> struct Node {
  template <class T> using Weak = typename Family::template Weak<T>;
  Node(int number, Family& in) : id(number), family(&in) { in.living[id] = this; }
  Node(Node const&) = delete;
  Node& operator=(Node const&) = delete;
  ~Node() {
    family->died.push_back(id);
    family->living.erase(id);
    if (auto const living = peer.lock()) {  // an object that dies brings others closer to their end
      family->died.push_back(-living->id - 1);
      living->next.reset();
    }
  }
  int id;
  Family* family;
  typename Family::template Strong<Node> next{};
  Weak<Node> peer{};
};

template <class Family> struct World {
  using N = Node<Family>;
  template <class T> using Strong = typename Family::template Strong<T>;
  Family family{};
  std::array<Strong<N>, strongs> strong{};
  std::array<typename Family::template Weak<N>, weaks> weak{};
  std::array<Strong<int>, 4> part{};

  ~World() { cut_rings(); }

  /// Objects that keep each other in a ring would stay for ever.
  void cut_rings() {
    auto const living = family.living;
    for (auto const& [id, node] : living)
      if (family.living.count(id) != 0) node->next.reset();
  }

  void step(std::size_t what, std::size_t i, std::size_t j, int id) {
    auto& a = strong[i % strongs];
    auto& b = strong[j % strongs];
    auto& w = weak[i % weaks];
    auto& v = weak[j % weaks];
    switch (what) {
      case 0:
      case 1: a = family.make(id); break;
      case 2: a = b; break;
      case 3: a = std::move(b); break;
      case 4: a.reset(); break;
      case 5: a.swap(b); break;
      case 6: w = Family::weak(b); break;
      case 7: w = v; break;
      case 8: w.reset(); break;
      case 9: a = v.lock(); break;
      case 10:
        if (a) a->next = b;
        break;
      case 11:
        if (a) a->peer = v;
        break;
      case 12:
        if (a) part[j % part.size()] = Strong<int>(a, &a->id);
        break;
      case 13: part[j % part.size()].reset(); break;
      case 14:
        if (auto const locked = w.lock()) locked->next.reset();
        break;
      default: {
        Strong<N> const copy(a);
        Strong<N> moved(std::move(a));
        a = std::move(moved);
      }
    }
  }
};

struct Plain {
  static inline PoolConfig const config{.capacity = 8, .growth_strategy = GrowthStrategy::linear(8)};
  template <class T> using pool = GrowingPool<T, Shared, FullChecks>;
};
struct Listed {
  static inline PoolConfig const config{.capacity = 8, .growth_strategy = GrowthStrategy::exponential(1.5)};
  template <class T> using pool = GrowingPool<T, AtomicShared, FreeListAllocator, NoChecks>;
};
struct Threads {
  static inline PoolConfig const config{.capacity = 1000};
  template <class T> using pool = ThreadSafePool<T, AtomicShared>;
};
struct Local {
  static inline PoolConfig const config{.capacity = 1000};
  template <class T> using pool = ThreadLocalPool<T, AtomicShared>;
};

/// "" or what differs.
template <class Policies> std::string compare(std::size_t operations) {
  World<Standard> theirs;
  auto const mine = std::make_unique<World<Pooled<Policies>>>();
  model::SeededSource source(model::seed() + operations);
  for (std::size_t n = 0; n != operations; ++n) {
    std::size_t const what = source.below(16), i = source.below(slots), j = source.below(slots);
    theirs.step(what, i, j, static_cast<int>(n));
    mine->step(what, i, j, static_cast<int>(n));
    if (theirs.family.died != mine->family.died) return "objects died in another order";
    theirs.family.died.clear();
    mine->family.died.clear();
    for (std::size_t k = 0; k != strongs; ++k) {
      auto const& a = theirs.strong[k];
      auto const& b = mine->strong[k];
      if (bool(a) != bool(b) || static_cast<std::size_t>(a.use_count()) != b.use_count() || (a && a->id != b->id))
        return "a strong handle differs";
    }
    for (std::size_t k = 0; k != weaks; ++k)
      if (theirs.weak[k].expired() != mine->weak[k].expired() ||
          static_cast<std::size_t>(theirs.weak[k].use_count()) != mine->weak[k].use_count())
        return "a weak handle differs";
    for (std::size_t k = 0; k != mine->part.size(); ++k)
      if (mine->part[k] ? *mine->part[k] != *theirs.part[k] : bool(theirs.part[k]))
        return "a handle to a member differs";
    if (n % 64 != 0) continue;
    if (n % 256 == 0) {
      theirs.cut_rings();
      mine->cut_rings();
    }
    // for_each() meets the living; what is allocated beyond them is dead and known to a weak handle.
    std::size_t living = 0, dead = 0;
    mine->family.pool.for_each([&](auto& node) { living += mine->family.living.at(node.id) == &node ? 1 : 0; });
    if (living != mine->family.living.size()) return "for_each() meets others than those who live";
    std::vector<WeakHandle<Node<Pooled<Policies>>>> seen;
    auto const look = [&](auto const& weak) {
      if (!weak.expired() || weak.weak_count() == 0) return;
      for (auto const& other : seen)
        if (other.owner_equal(weak)) return;
      seen.push_back(weak);
      ++dead;
    };
    for (auto const& weak : mine->weak) look(weak);
    mine->family.pool.for_each([&](auto& node) { look(node.peer); });
    if (mine->family.pool.allocated() != living + dead) return "the pool keeps other slots than handles know of";
    if (!mine->family.pool.check_invariants()) return "the pool's account is wrong";
  }
  mine->cut_rings();
  for (auto& strong : mine->strong) strong.reset();
  for (auto& part : mine->part) part.reset();
  if (!mine->family.living.empty()) return "objects are left";
  for (auto& weak : mine->weak) weak.reset();
  return mine->family.pool.allocated() == 0 ? "" : "slots are left";
}

}  // namespace

TEST_CASE("model: shared and weak handles do what std::shared_ptr and std::weak_ptr do") {
  constexpr std::size_t operations = FASTALLOC_ASAN ? 30'000 : 200'000;
  INFO("FASTALLOC_MODEL_SEED=" << model::seed());
  CHECK(compare<Plain>(operations) == "");
  CHECK(compare<Listed>(operations) == "");
  CHECK(compare<Threads>(operations) == "");
  CHECK(compare<Local>(operations) == "");
}
