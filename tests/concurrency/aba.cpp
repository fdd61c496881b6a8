// SPDX-License-Identifier: MIT OR Apache-2.0
// The list of LockFree when its head goes away and comes back between a thread's look and its swap (ABA). Pause runs
// there, and does what other threads might. With a tag of one bit two returns make the head look untouched, and the
// list breaks: so the test would notice. The real tag holds.
#include <fastalloc/fastalloc.hpp>

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "concurrency/threads.hpp"

using namespace fastalloc;

namespace {

struct Pause {
  static inline std::function<void()> others;  ///< runs once
  void operator()() const {
    if (!others) return;
    auto const run = std::exchange(others, nullptr);
    run();
  }
};

using Shape = SlotShape<16, 8, false>;
template <int TagBits> using List = detail::TaggedList<Shape, TagBits, Pause>;

/// A list of its own memory, with every slot handed out once and given back: the first in front.
template <int TagBits> struct Rig {
  static constexpr std::size_t slots = 4;
  Rig() {
    blocks.set_stride(Shape::size);
    auto* const data = reinterpret_cast<std::byte*>(memory);
    blocks[0] = Block{.data = data, .end = data + sizeof memory, .slot_count = slots};
    list.bind(metadata, blocks);
    std::vector<std::byte*> all;
    while (std::byte* const slot = list.pop(blocks)) all.push_back(slot);
    CHECK(all.size() == slots);
    for (std::size_t i = slots; i-- != 0;) list.push(all[i], blocks);
  }

  /// Others take the first three slots and keep the second; the first comes back, with as many returns as make a tag of
  /// one bit what it was. Returns: the slots that are held at the end.
  std::vector<std::byte*> run() {
    std::vector<std::byte*> held;
    Pause::others = [&] {
      std::byte* const a = list.pop(blocks);
      held.push_back(list.pop(blocks));
      std::byte* const c = list.pop(blocks);
      list.push(c, blocks);  // 1
      list.push(a, blocks);  // 2
    };
    held.push_back(list.pop(blocks));
    while (std::byte* const slot = list.pop(blocks)) {
      held.push_back(slot);
      if (held.size() > 2 * slots) break;  // a list in a ring
    }
    return held;
  }

  alignas(8) std::byte memory[slots * Shape::size]{};
  alignas(8) std::byte metadata[List<TagBits>::metadata_bytes(slots, 1)]{};
  Blocks<false> blocks;
  List<TagBits> list;
};

template <int TagBits> bool each_once() {
  Rig<TagBits> rig;
  auto const held = rig.run();
  return std::set(held.begin(), held.end()).size() == held.size() && held.size() == rig.slots;
}

}  // namespace

static_assert(std::atomic<detail::TaggedWord>::is_always_lock_free);

TEST_CASE("aba: with a tag of one bit a slot has two owners after two returns") { CHECK_FALSE(each_once<1>()); }

TEST_CASE("aba: the real tag, and one of two bits, tell that slots came back") {
  CHECK(each_once<0>());
  CHECK(each_once<2>());
}

TEST_CASE("aba: with a tag of one bit fewer returns are noticed") {
  Rig<1> rig;
  std::vector<std::byte*> held;
  Pause::others = [&] {
    std::byte* const a = rig.list.pop(rig.blocks);
    held.push_back(rig.list.pop(rig.blocks));
    rig.list.push(a, rig.blocks);
  };
  while (std::byte* const slot = rig.list.pop(rig.blocks)) held.push_back(slot);
  CHECK(held.size() == rig.slots);
  CHECK(std::set(held.begin(), held.end()).size() == rig.slots);
}

namespace {
struct Yield {
  void operator()() const { std::this_thread::yield(); }
};
}  // namespace

// Two halves of 32 bits, and of 16, as where no more than 32 can be swapped.
TEMPLATE_TEST_CASE("aba: threads that are held up between look and swap never share a slot", "", std::uint64_t,
                   std::uint32_t) {
  constexpr std::size_t slots = 3;
  detail::TaggedList<Shape, 0, Yield, TestType> list;
  static_assert(decltype(list)::max_slots == (sizeof(TestType) == 8 ? 0xFFFFFFFF : 0xFFFF));
  alignas(8) std::byte memory[slots * Shape::size]{};
  alignas(8) std::byte metadata[decltype(list)::metadata_bytes(slots, 1)]{};
  Blocks<false> blocks;
  blocks.set_stride(Shape::size);
  blocks[0] = Block{.data = memory, .end = memory + sizeof memory, .slot_count = slots};
  list.bind(metadata, blocks);
  std::atomic<int> owners[slots] = {};
  test::Stopwatch const watch;
  test::run(4, [&](std::size_t) {
    while (watch.time() < test::short_slice(0.3)) {
      std::byte* const slot = list.pop(blocks);
      if (slot == nullptr) continue;
      auto& owner = owners[blocks.index_of(slot)];
      test::faults().expect(owner.fetch_add(1) == 0, "a slot has two owners");
      owner.fetch_sub(1);
      list.push(slot, blocks);
    }
  });
  std::size_t left = 0;
  while (list.pop(blocks) != nullptr) ++left;
  CHECK(left == slots);
  test::check_faults();
}
