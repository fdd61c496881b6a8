// SPDX-License-Identifier: MIT OR Apache-2.0
// A limit order book with price-time priority: orders live in a FixedPool, wait in an intrusive queue at their price,
// and are found by id. It is fed with a generated stream, checked against a slow book and its own invariants, and timed
// for each message beside the same book on new and delete.
#include "order_book_market.hpp"

#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace {

using namespace market;

struct Order {
  Id id;
  Side side;
  Price price;
  Quantity quantity;
  Order *earlier = nullptr, *later = nullptr;  // in the queue of its price
};

void require(bool ok, char const* text) {
  if (ok) return;
  std::printf("wrong: %s\n", text);
  std::exit(1);
}

// ---- the book

// Where orders come from. try_make returns an empty owner when there is no room.
struct Pooled {
  using Pool = fastalloc::FixedPool<Order, fastalloc::BasicStats>;
  using Owner = Pool::handle_type;
  Pool pool;
  explicit Pooled(std::size_t most) : pool({.capacity = most, .pre_initialize = true}) {}  // no page fault later
  Owner try_make(Order const& order) { return pool.try_allocate(order); }
};
struct Heap {
  using Owner = std::unique_ptr<Order>;
  explicit Heap(std::size_t) {}
  Owner try_make(Order const& order) { return std::make_unique<Order>(order); }
};

template <class Store> class Book {
 public:
  Book(std::size_t most_orders, std::size_t most_ids) : store_(most_orders), levels_(ticks), orders_(most_ids) {}

  void handle(Message const& message, std::vector<Trade>* log = nullptr) {
    log_ = log;
    switch (auto const& [kind, side, id, price, quantity] = message; kind) {
      case Message::add: return add(id, side, price, quantity);
      case Message::cancel: return cancel(id);
      case Message::modify: return modify(id, price, quantity);
      case Message::market:
        entered += quantity;
        cancelled += match(id, side, side == Side::buy ? ticks - 2 : 1, quantity);  // what nobody takes is gone
    }
  }

  // Queues and best prices are as they should be; what came in is traded (by a maker and a taker), gone or still there.
  void check() const {
    Quantity resting = 0;
    std::size_t count = 0;
    for (Price price = 0; price != ticks; ++price) {
      Order const* before = nullptr;
      for (Order const* order = levels_[price].first; order != nullptr; before = order, order = order->later) {
        require(order->price == price && order->quantity > 0 && order->earlier == before, "a queue");
        require(order->side == Side::buy ? price <= bid_ : price >= ask_, "a best price");
        require(orders_[order->id].get() == order, "the way from an id to its order");
        resting += order->quantity;
        ++count;
      }
      require(levels_[price].last == before, "the end of a queue");
    }
    require(bid_ < ask_, "the best prices cross");
    require(bid_ == 0 || levels_[bid_].first != nullptr, "nobody at the best bid");
    require(ask_ == ticks - 1 || levels_[ask_].first != nullptr, "nobody at the best ask");
    require(count == live, "orders in no queue");
    require(entered == resting + cancelled + 2 * traded, "quantity came from nowhere or went there");
  }

  Store& store() { return store_; }
  Quantity entered = 0, traded = 0, cancelled = 0;
  std::size_t live = 0, trades = 0, rejected = 0, late = 0;  // late: cancels of orders that are gone

 private:
  struct Level {
    Order *first = nullptr, *last = nullptr;
  };

  void add(Id id, Side side, Price price, Quantity quantity) {
    entered += quantity;
    quantity = match(id, side, price, quantity);
    if (quantity == 0) return;
    auto order = store_.try_make({id, side, price, quantity});
    if (order == nullptr) {
      ++rejected;
      cancelled += quantity;
      return;
    }
    Level& at = levels_[price];
    order->earlier = std::exchange(at.last, order.get());
    (order->earlier == nullptr ? at.first : order->earlier->later) = order.get();
    (side == Side::buy ? bid_ : ask_) = side == Side::buy ? std::max(bid_, price) : std::min(ask_, price);
    orders_[id] = std::move(order);
    ++live;
  }

  void cancel(Id id) {
    Order* const order = orders_[id].get();
    if (order == nullptr) return void(++late);
    cancelled += order->quantity;
    remove(*order);
  }

  // Less at the same price keeps its place in the queue; anything else is a new order.
  void modify(Id id, Price price, Quantity quantity) {
    Order* const order = orders_[id].get();
    if (order == nullptr) return void(++late);
    if (price == order->price && quantity <= order->quantity) {
      cancelled += order->quantity - quantity;
      order->quantity = quantity;
    } else {
      Side const side = order->side;
      cancel(id);
      add(id, side, price, quantity);
    }
  }

  // Trades with the other side while it is as good as `limit`. Returns: what is left.
  Quantity match(Id taker, Side side, Price limit, Quantity quantity) {
    Price const& best = side == Side::buy ? ask_ : bid_;
    while (quantity != 0 && (side == Side::buy ? best <= limit : best >= limit)) {
      Order& maker = *levels_[best].first;
      Quantity const part = std::min(quantity, maker.quantity);
      if (log_ != nullptr) log_->push_back({maker.id, taker, best, part});
      quantity -= part;
      maker.quantity -= part;
      traded += part;
      ++trades;
      if (maker.quantity == 0) remove(maker);
    }
    return quantity;
  }

  void remove(Order& order) {
    Level& at = levels_[order.price];
    (order.earlier == nullptr ? at.first : order.earlier->later) = order.later;
    (order.later == nullptr ? at.last : order.later->earlier) = order.earlier;
    if (at.first == nullptr) {
      while (bid_ != 0 && levels_[bid_].first == nullptr) --bid_;
      while (ask_ != ticks - 1 && levels_[ask_].first == nullptr) ++ask_;
    }
    --live;
    orders_[order.id] = nullptr;  // back to the pool
  }

  Store store_;  // before the owners
  std::vector<Level> levels_;
  std::vector<typename Store::Owner> orders_;  // by id
  Price bid_ = 0, ask_ = ticks - 1;
  std::vector<Trade>* log_ = nullptr;
};

// ---- what it takes, per message

template <class F> void time_each(std::vector<Message> const& messages, std::vector<long>& times, F&& f) {
  for (Message const& message : messages) {
    auto const begin = std::chrono::steady_clock::now();
    f(message);
    std::chrono::nanoseconds const time = std::chrono::steady_clock::now() - begin;
    times.push_back(static_cast<long>(time.count()));
  }
}

void print(char const* name, std::vector<long> times) {
  std::sort(times.begin(), times.end());
  auto const at = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-10s  p50 %ld, p99 %ld, p99.9 %ld, max %ld ns\n", name, at(0.5), at(0.99), at(0.999), at(1));
}

}  // namespace

int main() {
  constexpr std::size_t most_orders = 30'000, prefix = 12'000;
  Stream const stream(300'000, 5'000);

  {
    Book<Pooled> book(most_orders, stream.ids);
    SlowBook slow;
    std::vector<Trade> trades, slow_trades;
    for (std::size_t i = 0; i != prefix; ++i) {
      book.handle(stream.all[i], &trades);
      slow.handle(stream.all[i], slow_trades);
      require(trades == slow_trades, "the slow book traded otherwise");
      trades.clear(), slow_trades.clear();
      if (i % 100 == 0) book.check();
    }
    std::printf("the slow book agrees on %zu messages and %zu trades\n", prefix, book.trades);
  }

  std::vector<long> pool_times, heap_times, clock_times;
  for (int round = 0; round != 3; ++round) {
    Book<Pooled> with_pool(most_orders, stream.ids);
    Book<Heap> with_heap(most_orders, stream.ids);
    time_each(stream.all, pool_times, [&](Message const& message) { with_pool.handle(message); });
    time_each(stream.all, heap_times, [&](Message const& message) { with_heap.handle(message); });
    time_each(stream.all, clock_times, [](Message const&) {});
    with_pool.check(), with_heap.check();
    require(with_pool.traded == with_heap.traded && with_pool.live == with_heap.live, "the two books differ");
    if (round != 0) continue;
    auto const statistics = with_pool.store().pool.statistics();
    std::printf("%zu messages: %zu trades, %zu came too late, %zu were rejected\n", stream.all.size(), with_pool.trades,
                with_pool.late, with_pool.rejected);
    std::printf("quantity: %lld in, %lld traded, %lld cancelled\n", static_cast<long long>(with_pool.entered),
                static_cast<long long>(with_pool.traded), static_cast<long long>(with_pool.cancelled));
    std::printf("orders: %llu made, at most %zu at a time, %zu rest at the end\n",
                static_cast<unsigned long long>(statistics.total_allocations), statistics.peak_usage,
                statistics.current_usage);
  }
  print("FixedPool", std::move(pool_times));
  print("new/delete", std::move(heap_times));
  print("the clock", std::move(clock_times));  // what of it is the reading of the clock, and the machine's noise
}
