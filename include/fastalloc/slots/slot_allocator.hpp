// SPDX-License-Identifier: MIT OR Apache-2.0
// The slots axis: the order in which returned slots are handed out. No header in this folder knows T.
//
//   StackAllocator     an array of the free slots, last in first out     default; fastest nearly everywhere; 4 bytes a
//                                                                        slot (8 in a GrowingPool)
//   FreeListAllocator  a list linked through the free slots themselves   0 bytes a slot; slow when slots are cold
//   BitmapAllocator    one bit a slot, always the lowest free address    compact live sets, ordered iteration, 1 bit
//
// The pool hands out untouched slots itself, in ascending order, and keeps the last-freed slot where the policy allows
// it. An allocator therefore starts empty, and building a pool of a million slots touches none of them:
//
//   slots ever handed out == live + returned,     returned == allocator.size() + (last-freed slot ? 1 : 0)
//
// To write a policy, define a struct with a member template `Slots<Shape>` that satisfies the concept below; see
// examples/custom_allocator.cpp. `using takes_any_size = <itself>;` in the struct says that it reads no `Shape::size`,
// `align` or `payload`: types then share its code. `uses_granules = true` if it counts granules (SlotCode, not wide).
#pragma once

#include <fastalloc/slots/blocks.hpp>

#include <concepts>

namespace fastalloc::inline FASTALLOC_MODE {

/// The state of a slot allocator for slots of one shape. `slot` is always the start of a slot.
/// - `metadata_bytes(slots, blocks)`: bytes of bookkeeping for that many slots in that many blocks. The memory is
///   aligned at least like a pointer.
/// - `bind(memory, blocks)`: called before the first use and after every change of the blocks, with metadata_bytes()
///   bytes of uninitialised memory. Returned slots stay returned. The previous memory is valid until bind() ends; it
///   may be the same memory when blocks were removed, and word numbers then only fall. Before the first bind() a
///   default-constructed allocator behaves like one without slots: pop() returns null, size() 0.
/// - `pop(blocks)`: a returned slot, or null when there is none.
/// - `push(slot, blocks)`: takes a slot back.
/// - `size()`: the number of returned slots not taken since.
/// - `for_each(f, blocks)`: calls f(slot) for each of these slots.
/// - `S::keeps_last_freed`: the pool may keep the last-freed slot itself, in front of pop().
/// Throws: nothing; allocates nothing. Thread safety: all calls happen under the pool's lock.
template <class S>
concept SlotAllocatorState =
    requires(S s, S const c, std::byte* memory, std::size_t n, Blocks<S::growing> const& blocks) {
      { S::keeps_last_freed } -> std::convertible_to<bool>;
      { S::metadata_bytes(n, n) } noexcept -> std::same_as<std::size_t>;
      { s.bind(memory, blocks) } noexcept;
      { s.pop(blocks) } noexcept -> std::same_as<std::byte*>;
      { s.push(memory, blocks) } noexcept;
      { c.size() } noexcept -> std::same_as<std::size_t>;
      {
        c.for_each([](std::byte*) noexcept {}, blocks)
      };
    };

/// Required by GrowingPool::shrink_to_fit: `erase_if(predicate, blocks)` drops the returned slots of a removed block.
template <class S>
concept ErasableSlots = requires(S s, Blocks<S::growing> const& blocks) {
  {
    s.erase_if([](std::byte*) noexcept { return true; }, blocks)
  } noexcept;
};

/// Knows which slots are free, so that iteration over live objects proceeds a word at a time.
/// - `free_bits(word, blocks)`: one bit for each slot of a word (Block::word) that was returned and not taken since.
///   Called only for words whose first slot was handed out before.
/// - `settle(blocks)` returns a number; `is_settled(number)` is true while the blocks are the same and no slot was
///   returned since (slots taken again do not count). It runs once per object: keep it to a few instructions.
template <class S>
concept TracksOccupancy = requires(S s, S const c, std::size_t word, Blocks<S::growing> const& blocks) {
  { c.free_bits(word, blocks) } noexcept -> std::same_as<std::size_t>;
  { s.settle(blocks) } noexcept -> std::same_as<std::size_t>;
  { c.is_settled(word) } noexcept -> std::same_as<bool>;
};

/// Reports slots returned since a mark. `drain(f, blocks)` calls f for each such slot that is still free, and sets a
/// new mark; `low_water()` is the least size() since. The pool derives peaks from it, and iterates while F releases.
/// `set_mark()`, if present, has the effects of drain() with an empty f, in a few steps.
template <class S>
concept MarksReturns = requires(S s, S const c, Blocks<S::growing> const& blocks) {
  {
    s.drain([](std::byte*) noexcept {}, blocks)
  } noexcept;
  { c.low_water() } noexcept -> std::same_as<std::size_t>;
};

/// The report on overwritten links that a checks policy receives.
struct LinksCut {
  bool broken = false;
  std::size_t lost = 0;       ///< slots dropped from the list
  std::byte* slot = nullptr;  ///< broken: the slot with the bad link; null where the head of the list itself was bad
};

/// Keeps a link in each returned slot, where a write to a dead object may overwrite it. Checks policies call `cut(n,
/// claim, unclaim, blocks)` before links are followed: it verifies n slots and their links. claim(p), for any p, is
/// true when a returned slot begins there, and false for the same slot until unclaim(p). The list is cut in front of
/// the first slot that cannot be claimed, so that the rest can be walked.
template <class S>
concept LinksSlots = requires(S s, std::size_t n, Blocks<S::growing> const& blocks) {
  {
    s.cut(n, [](void const*) noexcept { return true; }, [](std::byte*) noexcept {}, blocks)
  } noexcept;
};

/// Is notified of every slot's first use: `untouched(slot, blocks)`.
template <class S>
concept HearsOfUntouchedSlots = requires(S s, std::byte* slot, Blocks<S::growing> const& blocks) {
  { s.untouched(slot, blocks) } noexcept;
};

/// Takes many at once: `pop_many(out, n, blocks)` writes n returned slots; n is at most size().
template <class S>
concept TakesMany = requires(S s, std::byte** out, std::size_t n, Blocks<S::growing> const& blocks) {
  { s.pop_many(out, n, blocks) } noexcept;
};

/// Takes many back at once: `push_many(at, n, blocks)`, where at(i) is the i-th slot.
template <class S>
concept GivesMany = requires(S s, std::byte* (*at)(std::size_t), std::size_t n, Blocks<S::growing> const& blocks) {
  { s.push_many(at, n, blocks) } noexcept;
};

/// Drops all returned slots at once: `clear(blocks)`; Block::high_water is still as before. Without it
/// BasicPool::clear() takes them one by one. Afterwards slots are handed out for the first time again, and untouched()
/// is called again.
template <class S>
concept DropsAll = requires(S s, Blocks<S::growing> const& blocks) {
  { s.clear(blocks) } noexcept;
};

/// Finds and takes adjacent slots; required by allocate_n(). Requires: settle() was called before.
/// - `find_run(n, block, blocks)`: place of the first of the lowest n adjacent slots of a block that are returned or
///   lie behind Block::high_water; Block::slots when there are none.
/// - `pop_run(place, n, block)`: takes n adjacent returned slots.
template <class S>
concept TakesRuns = TracksOccupancy<S> && requires(S s, S const c, std::size_t n, BlockOf<S::growing> const& block,
                                                   Blocks<S::growing> const& blocks) {
  { c.find_run(n, block, blocks) } noexcept -> std::same_as<std::size_t>;
  { s.pop_run(n, n, block) } noexcept;
};

/// A policy for the slots axis.
template <class P>
concept SlotAllocator = requires { typename P::template Slots<SlotShape<16, 8, false>>; };

/// Bytes of the link that an allocator writes into free slots: `P::link_bytes(growing, object)`, or 0 where the policy
/// has none. `object`: bytes of the contents of a slot.
template <class P>
constexpr std::size_t link_bytes([[maybe_unused]] bool growing, [[maybe_unused]] std::size_t object) noexcept {
  if constexpr (requires { P::link_bytes(growing, object); }) return P::link_bytes(growing, object);
  else return 0;
}

}  // namespace fastalloc::inline FASTALLOC_MODE
