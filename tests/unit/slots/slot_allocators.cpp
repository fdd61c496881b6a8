// SPDX-License-Identifier: MIT OR Apache-2.0
// Each slot allocator against a model of what it should hold, in one block and in many.
#include <fastalloc/slots/bitmap_allocator.hpp>
#include <fastalloc/slots/free_list_allocator.hpp>
#include <fastalloc/slots/stack_allocator.hpp>
#include <fastalloc/slots/unrolled_lists.hpp>

#include "unit/slots/rig.hpp"

using namespace fastalloc;
using test::SlotRig;

namespace {

template <class Rig> void random_walk(Rig& rig, unsigned seed, int steps) {
  std::mt19937 random(seed);
  bool right = true;
  for (int step = 0; step != steps; ++step) {
    unsigned const phase = static_cast<unsigned>(step / 1000) % 2 == 0 ? 60 : 40;  // fill up, then drain
    if (random() % 100 < phase) {
      if (random() % 2 == 0 || rig.allocator.size() == 0) rig.untouched();
      else right = right && rig.pop();
    } else if (rig.live() != 0) {
      rig.push(random() % rig.live());
    }
    if constexpr (Rig::marks) {
      if (random() % 97 == 0) right = right && rig.drain();
    }
    if (random() % 500 == 0) right = right && rig.agrees();
  }
  CHECK(right);
  CHECK(rig.agrees());
  while (rig.allocator.size() != 0) right = rig.pop() && right;
  CHECK(right);
  CHECK(rig.pop());  // none left: null, as the model says
}

}  // namespace

TEMPLATE_TEST_CASE("slot allocator: starts empty", "", StackAllocator, FreeListAllocator, BitmapAllocator) {
  SlotRig<TestType, false> rig;
  rig.add_block(100);
  CHECK(rig.allocator.size() == 0);
  CHECK(rig.pop());
  CHECK(rig.agrees());
}

TEMPLATE_TEST_CASE("slot allocator: one block, against a model", "", StackAllocator, FreeListAllocator,
                   BitmapAllocator) {
  for (unsigned const slots : {1U, 2U, 63U, 64U, 65U, 700U, 5000U}) {
    SlotRig<TestType, false> rig;
    rig.add_block(slots);
    random_walk(rig, slots, 12000);
  }
  SlotRig<TestType, false, 8> narrow;
  narrow.add_block(300);
  random_walk(narrow, 3, 12000);
  SlotRig<TestType, false, 24> odd;
  odd.add_block(300);
  random_walk(odd, 4, 12000);
}

TEMPLATE_TEST_CASE("slot allocator: many blocks that come and go, against a model", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator, detail::UnrolledLists) {
  for (unsigned seed = 0; seed != 6; ++seed) {
    SlotRig<TestType, true> rig;
    std::mt19937 random(seed);
    bool right = true;
    for (int step = 0; step != 20000; ++step) {
      auto const die = static_cast<unsigned>(random() % 1000);
      if (die < 4 && rig.blocks() < 60) {
        rig.add_block(1 + random() % 300);
        right = right && rig.agrees();
      } else if (die < 10 && rig.blocks() != 0) {
        if (rig.remove_block(random() % rig.blocks(), random() % 2 == 0)) right = right && rig.agrees();
      } else if (die < 14) {
        if constexpr (SlotRig<TestType, true>::marks) right = right && rig.drain();
      } else if (die < 300) {
        rig.untouched();
      } else if (die < ((step / 3000) % 2 == 0 ? 600U : 400U)) {
        right = right && rig.pop();
      } else if (rig.live() != 0) {
        rig.push(random() % rig.live());
      }
    }
    CHECK(right);
    CHECK(rig.agrees());
    while (rig.live() != 0) rig.push(0);
    while (rig.blocks() != 0) REQUIRE(rig.remove_block(0, true));
    CHECK(rig.allocator.size() == 0);
    CHECK(rig.agrees());
  }
}

TEMPLATE_TEST_CASE_SIG("unrolled list: slots of any size, against a model", "", ((std::size_t Size), Size), 8, 16, 24,
                       64, 4096) {
  SlotRig<detail::UnrolledLists, true, Size> rig;
  rig.add_block(700);
  random_walk(rig, 5, 12000);
  rig.add_block(1);
  rig.add_block(2000);
  random_walk(rig, 6, 30000);
  while (rig.live() != 0) rig.push(rig.live() - 1);
  CHECK(rig.agrees());
  while (rig.blocks() != 0) REQUIRE(rig.remove_block(rig.blocks() / 2, true));
  CHECK(rig.agrees());
}

TEST_CASE("unrolled lists: what is handed out in a row lies close together, in whatever order it came back") {
  constexpr std::size_t size = 64, slots = 512, count = 64;  // blocks of 32 KiB
  using Lists = detail::UnrolledLists;
  SlotRig<Lists, true, size> rig;
  for (std::size_t b = 0; b != count; ++b) rig.add_block(slots);
  std::vector<std::byte*> all;
  while (std::byte* const slot = rig.untouched()) all.push_back(slot);
  while (rig.live() != 0) rig.push(std::mt19937(static_cast<unsigned>(rig.live()))() % rig.live());
  std::size_t moves = 0;
  std::uintptr_t before = 0;
  while (rig.allocator.size() != 0) {
    std::byte* const slot = rig.allocator.pop(rig.map());
    auto const list = reinterpret_cast<std::uintptr_t>(slot) / Lists::region % Lists::lists_for(count);
    moves += list != before;
    before = list;
  }
  CHECK(all.size() == slots * count);
  CHECK(moves <= Lists::lists_for(count));
}

TEST_CASE("unrolled list: only one slot in a chunk of them is written to") {
  constexpr std::size_t size = 64, slots = 80;
  using Slots = detail::UnrolledLists::Slots<SlotShape<size, 8, true>>;
  Blocks<true> blocks;
  blocks.set_stride(size);
  std::vector<std::uint64_t> memory(slots * size / 8, 7);
  Slots list;
  std::vector<std::uint64_t> lists(Slots::metadata_bytes(0, 0) / 8);
  list.bind(reinterpret_cast<std::byte*>(lists.data()), blocks);
  auto* const data = reinterpret_cast<std::byte*>(memory.data());
  for (std::size_t i = 0; i != slots; ++i) list.push(data + i * size, blocks);
  detail::unpoison(data, slots * size);
  std::size_t written = 0;
  for (std::size_t i = 0; i != slots; ++i)
    written += std::any_of(&memory[i * size / 8], &memory[i * size / 8] + size / 8, [](auto w) { return w != 7; });
  CHECK(written == slots / (size / sizeof(void*)));
  list.clear(blocks);
  CHECK(list.size() == 0);
  CHECK(list.pop(blocks) == nullptr);
}

TEST_CASE("bitmap: hands out the lowest of 300,000 slots, through all levels") {
  constexpr std::size_t capacity = 300000;
  Blocks<false> blocks;
  blocks.set_stride(16);
  std::vector<std::uint64_t> memory(capacity * 2);
  auto* const data = reinterpret_cast<std::byte*>(memory.data());
  blocks[0] = Block{.data = data, .end = data + capacity * 16, .slot_count = capacity};
  using Slots = BitmapAllocator::Slots<SlotShape<16, 8, false>>;
  std::vector<std::uint64_t> metadata(Slots::metadata_bytes(capacity, 1) / 8 + 1);
  Slots slots;
  slots.bind(reinterpret_cast<std::byte*>(metadata.data()), blocks);
  for (std::size_t i = 0; i != capacity; ++i) slots.untouched(data + 16 * i, blocks);
  blocks[0].high_water = capacity;
  std::mt19937 random(1);
  std::set<std::byte*> model;
  for (int step = 0; step != 200000; ++step) {
    if (random() % 3 != 0) {
      std::byte* const slot = data + 16 * (random() % capacity);
      if (model.insert(slot).second) slots.push(slot, blocks);
    } else if (!model.empty()) {
      REQUIRE(slots.pop(blocks) == *model.begin());
      model.erase(model.begin());
    }
  }
  CHECK(slots.size() == model.size());
  bool right = true;
  for (std::byte* const slot : model) right = right && slots.pop(blocks) == slot;
  CHECK(right);
  CHECK(slots.pop(blocks) == nullptr);
  for (std::size_t i = capacity; i-- != 0;) slots.push(data + 16 * i, blocks);
  for (std::size_t i = 0; i != capacity; ++i) right = right && slots.pop(blocks) == data + 16 * i;
  CHECK(right);
}

TEST_CASE("stack: takes many at once, last in first out") {
  SlotRig<StackAllocator, false> rig;
  rig.add_block(50);
  std::vector<std::byte*> given;
  for (int i = 0; i != 50; ++i) given.push_back(rig.untouched());
  auto const& blocks = rig.map();
  for (std::byte* const slot : given) rig.allocator.push(slot, blocks);
  std::byte* out[50];
  rig.allocator.pop_many(out, 0, blocks);
  CHECK(rig.allocator.size() == 50);
  rig.allocator.pop_many(out, 20, blocks);
  CHECK(rig.allocator.size() == 30);
  CHECK(rig.allocator.low_water() == 0);
  for (std::size_t i = 0; i != 20; ++i) CHECK(out[i] == given[49 - i]);
  rig.allocator.pop_many(out, 30, blocks);
  for (std::size_t i = 0; i != 30; ++i) CHECK(out[i] == given[29 - i]);
  CHECK(rig.allocator.size() == 0);
}

TEST_CASE("stack: taking many lowers the low-water mark") {
  SlotRig<StackAllocator, false> rig;
  rig.add_block(50);
  auto const& blocks = rig.map();
  for (int i = 0; i != 50; ++i) rig.allocator.push(rig.untouched(), blocks);
  rig.allocator.drain([](std::byte*) {}, blocks);
  CHECK(rig.allocator.low_water() == 50);
  std::byte* out[50];
  rig.allocator.pop_many(out, 10, blocks);
  CHECK(rig.allocator.low_water() == 40);
  rig.allocator.push(out[0], blocks);
  CHECK(rig.allocator.low_water() == 40);
  CHECK(rig.allocator.size() == 41);
}

TEST_CASE("slot allocators: bytes of metadata") {
  using Stack = StackAllocator::Slots<SlotShape<64, 8, false>>;
  using GrowingStack = StackAllocator::Slots<SlotShape<64, 8, true>>;
  using FreeList = FreeListAllocator::Slots<SlotShape<64, 8, true, 0, sizeof(void*)>>;
  using Bitmap = BitmapAllocator::Slots<SlotShape<64, 8, false>>;
  STATIC_REQUIRE(Stack::metadata_bytes(1000, 1) == 4000);
  STATIC_REQUIRE(GrowingStack::metadata_bytes(1000, 3) == 1000 * sizeof(void*));
  STATIC_REQUIRE(FreeList::metadata_bytes(1000, 3) == 0);
  STATIC_REQUIRE(Bitmap::metadata_bytes(64000, 1) >= 8000);
  STATIC_REQUIRE(Bitmap::metadata_bytes(64000, 1) < 8300);
}

TEMPLATE_TEST_CASE("slot allocator: slots that lie further apart than they are big", "", StackAllocator,
                   FreeListAllocator, BitmapAllocator) {
  constexpr std::size_t stride = 64, capacity = 200;
  using Slots =
      typename TestType::template Slots<SlotShape<16, 8, false, 0, fastalloc::link_bytes<TestType>(false, 16)>>;
  Blocks<false> blocks;
  blocks.set_stride(stride);
  std::vector<std::uint64_t> memory(capacity * stride / 8), metadata(Slots::metadata_bytes(capacity, 1) / 8 + 1);
  auto* const data = reinterpret_cast<std::byte*>(memory.data());
  blocks[0] = Block{.data = data, .end = data + capacity * stride, .slot_count = capacity};
  Slots slots;
  slots.bind(reinterpret_cast<std::byte*>(metadata.data()), blocks);
  if constexpr (fastalloc::HearsOfUntouchedSlots<Slots>)
    for (std::size_t i = 0; i != capacity; ++i) slots.untouched(data + i * stride, blocks);
  blocks[0].high_water = capacity;
  std::set<std::byte*> all, kept, asked, held, taken;
  for (std::size_t i = 0; i != capacity; ++i) {
    all.insert(data + i * stride);
    if (i % 3 == 0) kept.insert(data + i * stride);
    slots.push(data + i * stride, blocks);
  }
  slots.erase_if([&](std::byte* slot) { return asked.insert(slot), kept.count(slot) == 0; }, blocks);
  CHECK(asked == all);
  slots.for_each([&](std::byte* slot) { held.insert(slot); }, blocks);
  CHECK(held == kept);
  while (std::byte* const slot = slots.pop(blocks)) taken.insert(slot);
  CHECK(taken == kept);
  CHECK(slots.size() == 0);
}
