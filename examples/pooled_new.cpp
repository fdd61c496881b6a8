// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that says `new` and `delete`, and std::make_unique, with a pool behind them: its classes derive from
// Pooled, and nothing else changes.
//
// Expressions are trees of nodes of several classes. Small ones share the slots of the base's pool; one class is bigger
// and stays on the heap. Trees are deleted through pointers to the base, on any thread, also after main() has ended.
#include <fastalloc/adapters/pooled.hpp>

#include <cstdio>
#include <memory>
#include <new>
#include <utility>

namespace {

struct Expression : fastalloc::Pooled<Expression> {
  virtual ~Expression() = default;
  [[nodiscard]] virtual double value() const = 0;

  /// Room for what the small classes below have.
  std::unique_ptr<Expression> left, right;
};

struct Number : Expression {
  explicit Number(double v) : number(v) {}
  [[nodiscard]] double value() const override { return number; }
  double number;  // more than the base has: too big for its slots
};
struct Sum : Expression {
  [[nodiscard]] double value() const override { return left->value() + right->value(); }
};
struct Product : Expression {
  [[nodiscard]] double value() const override { return left->value() * right->value(); }
};

template <class Node> std::unique_ptr<Expression> make(std::unique_ptr<Expression> a, std::unique_ptr<Expression> b) {
  auto node = std::make_unique<Node>();
  node->left = std::move(a);
  node->right = std::move(b);
  return node;
}
std::unique_ptr<Expression> number(double value) { return std::make_unique<Number>(value); }

/// Tickets are limited: the pool of the class is configured by it.
struct Ticket : fastalloc::Pooled<Ticket, fastalloc::NoLock> {
  static fastalloc::PoolConfig pool_config() { return {.capacity = 2}; }
  int seat = 0;
};

std::unique_ptr<Expression> kept;  // ends after main()

}  // namespace

int main() {
  {
    auto const tree = make<Product>(make<Sum>(number(1), number(2)), make<Sum>(number(3), number(4)));
    std::printf("(1 + 2) * (3 + 4) = %g\n", tree->value());
    std::printf("  in slots: %zu, on the heap: %zu\n", Expression::allocated(), Expression::heap_objects());
  }
  std::printf("  afterwards: %zu and %zu\n", Expression::allocated(), Expression::heap_objects());

  std::unique_ptr<Ticket> const first(new Ticket), second(new Ticket);
  std::unique_ptr<Ticket> const third(new (std::nothrow) Ticket);
  std::printf("tickets: %zu, a third one: %s\n", Ticket::allocated(), third ? "sold" : "sold out");

  kept = make<Sum>(number(1), number(1));
}
