// SPDX-License-Identifier: MIT OR Apache-2.0
// The slots axis: which of the returned slots is handed out next. Nothing here knows T.
//
//   StackAllocator     an array of the free slots, last in first out      default; fastest nearly everywhere; 4 bytes a
//                      slot (8 in a GrowingPool)
//   FreeListAllocator  a list linked through the free slots themselves    0 bytes a slot; slow when slots are cold
//   BitmapAllocator    one bit a slot, always the lowest free address     compact live sets, ordered iteration, 1 bit
//
// The pool itself hands out fresh slots, in ascending order, and keeps the slot returned last (the *hot slot*) where
// the policy allows it. So an allocator starts empty, and whatever its kind, a pool of a million slots is built without
// touching one of them:
//
//   slots ever handed out == live + returned,     returned == allocator.size() + (hot slot ? 1 : 0)
//
// A policy of your own is a struct with a member template `Slots<Shape>` that fits the concept below;
// examples/custom_allocator.cpp shows one.
#pragma once

#include <fastalloc/slots/blocks.hpp>

#include <concepts>

namespace fastalloc::inline FASTALLOC_MODE {

/// The state of a slot allocator for slots of one shape. `slot` is always the start of a slot.
/// - `metadata_bytes(slots, blocks)`: bytes to keep account of that many slots in that many blocks; at least pointer
///   alignment is provided.
/// - `bind(memory, blocks)`: called before the first use and whenever the blocks changed, with uninitialised
///   memory of metadata_bytes(). What was returned stays returned; the previous memory is valid until bind() ends.
///   It may be the same memory when blocks went; word numbers then only fall. Before the first call a default
///   constructed allocator is asked like one without slots: take() returns null, size() 0.
/// - `take(blocks)`: a returned slot, or null when there is none.
/// - `give(slot, blocks)`: takes a slot back.
/// - `size()`: returned slots that are not taken.
/// - `for_each(f, blocks)`: calls f(slot) for each of them.
/// - `S::hot_slot`: the pool may keep the slot that was returned last to itself, in front of take().
/// None of them throws or allocates. All are called under the pool's lock.
template <class S>
concept SlotAllocatorState =
    requires(S s, S const c, std::byte* memory, std::size_t n, Blocks<S::growing> const& blocks) {
      { S::hot_slot } -> std::convertible_to<bool>;
      { S::metadata_bytes(n, n) } noexcept -> std::same_as<std::size_t>;
      { s.bind(memory, blocks) } noexcept;
      { s.take(blocks) } noexcept -> std::same_as<std::byte*>;
      { s.give(memory, blocks) } noexcept;
      { c.size() } noexcept -> std::same_as<std::size_t>;
      {
        c.for_each([](std::byte*) noexcept {}, blocks)
      };
    };

/// Needed for GrowingPool::shrink_to_fit: `erase_if(predicate, blocks)` drops the returned slots of a block that goes.
template <class S>
concept ErasableSlots = requires(S s, Blocks<S::growing> const& blocks) {
  {
    s.erase_if([](std::byte*) noexcept { return true; }, blocks)
  } noexcept;
};

/// Knows which slots are free, so that live ones are iterated a word at a time.
/// - `free_bits(word, blocks)` has a bit for each slot of a word (Block::word) that was returned and is not taken.
///   Asked only about words whose first slot was handed out before.
/// - `settle(blocks)` returns a number, and `is_settled(number)` is true only while no slot was returned since (but
///   such as were taken again) and blocks are the same. It is asked at every object, so a few instructions are all it
///   should take.
template <class S>
concept TracksOccupancy = requires(S s, S const c, std::size_t word, Blocks<S::growing> const& blocks) {
  { c.free_bits(word, blocks) } noexcept -> std::same_as<std::size_t>;
  { s.settle(blocks) } noexcept -> std::same_as<std::size_t>;
  { c.is_settled(word) } noexcept -> std::same_as<bool>;
};

/// Tells what was returned since a mark: `drain(f, blocks)` calls f for each such slot that is still free and sets the
/// mark anew; `low_water()` is the least size() since. From it the pool derives peaks, and iterates while F releases.
/// `set_mark()`, where there is one, is a drain() that nobody listens to, in a few steps.
template <class S>
concept MarksReturns = requires(S s, S const c, Blocks<S::growing> const& blocks) {
  {
    s.drain([](std::byte*) noexcept {}, blocks)
  } noexcept;
  { c.low_water() } noexcept -> std::same_as<std::size_t>;
};

/// What a checks policy hears of links that somebody wrote over.
struct LinksCut {
  bool broken = false;
  std::size_t lost = 0;       ///< slots that are in the list no more
  std::byte* slot = nullptr;  ///< broken: the one whose link it was; null where the list itself led astray
};

/// Keeps a link in each returned slot, which whoever uses a dead object may write over. For checks policies, before
/// links are followed: `cut(n, claim, unclaim, blocks)` looks at n slots and their links. claim(p), where p may be
/// anything, is true when a returned slot begins there, and false for the same slot until unclaim(p). In front of what
/// cannot be claimed the list is cut, so that the rest can be walked.
template <class S>
concept LinksSlots = requires(S s, std::size_t n, Blocks<S::growing> const& blocks) {
  {
    s.cut(n, [](void const*) noexcept { return true; }, [](std::byte*) noexcept {}, blocks)
  } noexcept;
};

/// Wants to hear of every slot that is handed out for the first time: `fresh(slot, blocks)`.
template <class S>
concept HearsOfFreshSlots = requires(S s, std::byte* slot, Blocks<S::growing> const& blocks) {
  { s.fresh(slot, blocks) } noexcept;
};

/// Takes many at once: `take_many(out, n, blocks)` writes n returned slots; n is at most size().
template <class S>
concept TakesMany = requires(S s, std::byte** out, std::size_t n, Blocks<S::growing> const& blocks) {
  { s.take_many(out, n, blocks) } noexcept;
};

/// Takes many back at once: `give_many(at, n, blocks)`, where at(i) is the i-th slot.
template <class S>
concept GivesMany = requires(S s, std::byte* (*at)(std::size_t), std::size_t n, Blocks<S::growing> const& blocks) {
  { s.give_many(at, n, blocks) } noexcept;
};

/// Finds and takes adjacent slots; needed for allocate_n(). Both are called after settle().
/// - `find_run(n, block, blocks)`: place of the first of the lowest n adjacent slots of a block that are returned or
///   lie behind Block::handed; Block::slots when there are none.
/// - `take_run(place, n, block)`: takes n adjacent returned slots.
template <class S>
concept TakesRuns = TracksOccupancy<S> && requires(S s, S const c, std::size_t n, BlockOf<S::growing> const& block,
                                                   Blocks<S::growing> const& blocks) {
  { c.find_run(n, block, blocks) } noexcept -> std::same_as<std::size_t>;
  { s.take_run(n, n, block) } noexcept;
};

/// A policy for the slots axis.
template <class P>
concept SlotAllocator = requires { typename P::template Slots<SlotShape<16, 8, false>>; };

/// Bytes of a link that an allocator writes into free slots: 0, unless the policy says `link_bytes(growing, object)`,
/// where `object` is what a slot holds, in bytes.
template <class P>
constexpr std::size_t link_bytes([[maybe_unused]] bool growing, [[maybe_unused]] std::size_t object) noexcept {
  if constexpr (requires { P::link_bytes(growing, object); }) return P::link_bytes(growing, object);
  else return 0;
}

}  // namespace fastalloc::inline FASTALLOC_MODE
