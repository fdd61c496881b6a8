// SPDX-License-Identifier: MIT OR Apache-2.0
// Rollback netcode: the game never waits for the other player's input. It guesses that input, saves each frame, and
// when the real input of an earlier frame arrives and differs, goes back to that frame and plays on from there.
//
// All state of the game is one pool of trivially copyable objects that name each other by keys. A frame is saved by one
// copy. After load() every key means what it meant then, and the frames that are played again make the same keys, so
// both players' games agree to the last bit.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

namespace {

using fastalloc::Key;

struct Unit {
  std::int32_t x = 0;
  std::int32_t health = 3;
  Key target;  // may be gone, and someone else may be in its slot: get() tells
};
using Units = fastalloc::FixedPool<Unit, fastalloc::Generations, fastalloc::BitmapAllocator>;

struct Input {
  bool spawn = false;
  bool operator==(Input const&) const = default;
};
constexpr Input guess{};  // of a player who was not heard of yet

class Game {
 public:
  static constexpr std::size_t history = 8;  // frames that an input may be late

  Game() : units_(64) {}
  ~Game() {
    units_.for_each([&](Unit& unit) { units_.adopt(&unit).reset(); });
  }

  /// One frame, from the state and the inputs alone.
  void step(Input mine, Input theirs) {
    save();
    inputs_.push_back({mine, theirs});
    play(mine, theirs);
  }

  /// What the other player did in an earlier frame.
  void late_input(std::size_t frame, Input theirs) {
    if (inputs_[frame].theirs == theirs) return;  // guessed right
    inputs_[frame].theirs = theirs;
    auto const& saved = saved_[frame % history];
    if (auto const loaded = units_.load(std::span(saved)); !loaded) {
      std::printf("%s\n", loaded.error().to_string().c_str());
      return;
    }
    std::size_t const now = frames_;
    for (frames_ = frame; frames_ != now;) {
      if (frames_ != frame) save();
      play(inputs_[frames_].mine, inputs_[frames_].theirs);
    }
    rolled_back_ += now - frame;
  }

  /// A number that differs if anything in the two games does.
  [[nodiscard]] std::uint64_t checksum() {
    std::uint64_t sum = frames_;
    for (Unit const& unit : units_.live()) {
      for (std::uint64_t const value : {static_cast<std::uint64_t>(unit.x), static_cast<std::uint64_t>(unit.health),
                                        std::uint64_t{units_.index_of(&unit)}, std::uint64_t{unit.target.index()}})
        sum = (sum ^ value) * 1099511628211U;
    }
    return sum;
  }
  [[nodiscard]] std::size_t units() const { return units_.allocated(); }
  [[nodiscard]] std::size_t rolled_back() const { return rolled_back_; }

 private:
  struct Inputs {
    Input mine, theirs;
  };

  void save() {
    auto& bytes = saved_[frames_ % history];
    bytes.resize(units_.saved_bytes());
    units_.save(bytes);
  }

  void play(Input mine, Input theirs) {
    if (mine.spawn) spawn(-10);
    if (theirs.spawn) spawn(10);
    // Each unit walks towards its target and hits it; the body may release any unit.
    for (Unit& unit : units_.live()) {
      Unit* const target = units_.get(unit.target);
      if (target == nullptr) {
        unit.target = first_other(unit);
        continue;
      }
      unit.x += unit.x < target->x ? 1 : unit.x > target->x ? -1 : 0;
      if (unit.x == target->x && --target->health == 0) units_.adopt(target).reset();
    }
    ++frames_;
  }
  void spawn(std::int32_t x) {
    auto unit = units_.try_allocate(Unit{.x = x, .target = {}});
    if (!unit) return;  // a full pool is part of the game
    (void)units_.key(unit);
    (void)unit.release();  // the pool's objects have no handles: load() may bring them back
  }
  Key first_other(Unit const& unit) {
    for (Unit const& other : units_.live())
      if (&other != &unit) return units_.key(&other);
    return {};
  }

  Units units_;
  std::size_t frames_ = 0;
  std::size_t rolled_back_ = 0;
  std::vector<Inputs> inputs_;
  std::array<std::vector<std::byte>, history> saved_;
};

}  // namespace

int main() {
  // The same match twice: with all inputs in time, and with the other player's up to five frames late.
  Game in_time, late;
  std::vector<Input> theirs;
  for (std::size_t frame = 0; frame != 60; ++frame) {
    Input const mine{.spawn = frame % 7 == 0};
    theirs.push_back({.spawn = frame % 5 == 2});
    in_time.step(mine, theirs[frame]);
    late.step(mine, guess);
    if (frame >= 5) late.late_input(frame - 5, theirs[frame - 5]);
  }
  std::printf("before the last inputs arrive the games %s\n",
              in_time.checksum() == late.checksum() ? "agree" : "differ");
  for (std::size_t frame = 55; frame != 60; ++frame) late.late_input(frame, theirs[frame]);
  std::printf("after that they %s: %zu units each, %zu frames played again\n",
              in_time.checksum() == late.checksum() ? "agree" : "differ", late.units(), late.rolled_back());

  // A saved game of a pool with another capacity is refused, and says why.
  Units small(4), other(8);
  std::vector<std::byte> bytes(small.saved_bytes());
  small.save(bytes);
  if (auto const loaded = other.load(bytes); !loaded)
    std::printf("%s: requested %zu, limit %zu\n", loaded.error().message(), loaded.error().requested,
                loaded.error().limit);
}
