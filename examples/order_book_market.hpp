// SPDX-License-Identifier: MIT OR Apache-2.0
// What order_book.cpp is fed with and checked against: messages, a generated stream of them, and a slow book.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace market {

using Id = std::uint32_t;
using Price = std::uint32_t;  // in ticks
using Quantity = std::int64_t;

enum class Side : std::uint8_t { buy, sell };
constexpr Price ticks = 1 << 13;  // 0 and ticks - 1 stand for no bid and no ask

struct Message {
  enum Kind : std::uint8_t { add, cancel, modify, market } kind;
  Side side;
  Id id;
  Price price;
  Quantity quantity;
};
struct Trade {
  Id maker, taker;
  Price price;
  Quantity quantity;
  bool operator==(Trade const&) const = default;
};

// Adds, cancels, modifications and market orders: prices cluster around a mid that moves, sizes and distances have a
// long tail, most orders are cancelled, and young ones first.
class Stream {
 public:
  Stream(std::size_t messages, std::size_t opening) {
    while (all.size() != messages) {
      mid_ += below(50) == 0 ? below(3) - 1 : 0;
      std::uint32_t const roll = all.size() < opening ? 99 : below(100);
      if (roll < 3) push({Message::market, side(), ids++, 0, size()});
      else if (roll < 45) cancel();
      else if (roll < 53) modify();
      else add();
    }
  }
  std::vector<Message> all;
  Id ids = 0;

 private:
  std::uint32_t below(std::uint32_t n) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>((state_ >> 32) * n >> 32);
  }
  // 1 ... n often, up to 1024 times as much seldom: a power law.
  std::uint32_t tail(std::uint32_t n) { return (1 + below(n)) << std::countr_zero(below(1024) | 1024); }
  Quantity size() { return tail(100); }
  Side side() { return below(2) == 0 ? Side::buy : Side::sell; }
  // Some ticks from the mid, seldom many; one in thirty crosses it.
  Price near(Side side) {
    Price const far = std::min(tail(12), 1500U) + 4, distance = below(30) == 0 ? 0U - 6 : far;
    return side == Side::buy ? mid_ - distance : mid_ + distance;
  }
  void push(Message const& message) { all.push_back(message); }
  void add() {
    Side const which = side();
    live_.push_back({ids, which});
    push({Message::add, which, ids++, near(which), size()});
  }
  // Some are gone already: the stream does not know what was traded.
  std::pair<Id, Side>& pick() {
    std::size_t const n = live_.size(), age = below(4) == 0 ? below(static_cast<std::uint32_t>(n)) : tail(16);
    return live_[n - 1 - std::min(age, n - 1)];
  }
  void modify() {
    auto const [id, which] = pick();
    push({Message::modify, which, id, near(which), size()});
  }
  void cancel() {
    auto& one = pick();
    push({Message::cancel, one.second, one.first, 0, 0});
    one = live_.back();
    live_.pop_back();
  }

  std::vector<std::pair<Id, Side>> live_;
  Price mid_ = ticks / 2;
  std::uint64_t state_ = 20;
};

// The same rules, said once more and slowly: all orders in one list in order of time, searched from end to end.
class SlowBook {
 public:
  void handle(Message m, std::vector<Trade>& log) {
    auto const found = std::find_if(orders_.begin(), orders_.end(), [&](Message const& o) { return o.id == m.id; });
    if (m.kind == Message::cancel || m.kind == Message::modify) {
      if (found == orders_.end()) return;
      if (m.kind == Message::modify && m.price == found->price && m.quantity <= found->quantity) {
        found->quantity = m.quantity;
        return;
      }
      m.side = found->side;
      orders_.erase(found);
      if (m.kind == Message::cancel) return;
    }
    if (m.kind == Message::market) m.price = m.side == Side::buy ? ticks : 0;
    for (auto best = find_best(m); m.quantity != 0 && best != orders_.end(); best = find_best(m)) {
      Quantity const part = std::min(m.quantity, best->quantity);
      log.push_back({best->id, m.id, best->price, part});
      m.quantity -= part;
      if ((best->quantity -= part) == 0) orders_.erase(best);
    }
    if (m.quantity != 0 && m.kind != Message::market) orders_.push_back(m);
  }

 private:
  std::vector<Message>::iterator find_best(Message const& m) {
    auto const better = [&](Price a, Price b) { return m.side == Side::buy ? a < b : a > b; };
    auto best = orders_.end();
    for (auto one = orders_.begin(); one != orders_.end(); ++one)
      if (one->side != m.side && !better(m.price, one->price) &&
          (best == orders_.end() || better(one->price, best->price)))
        best = one;
    return best;
  }
  std::vector<Message> orders_;
};

}  // namespace market
