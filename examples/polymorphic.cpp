// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects of several classes in one pool, reached through their common base: the pool is one of std::variant, each slot
// has room for the largest class, and a handle to the base knows the way back to the slot, wherever in the object the
// base lies.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <cstdio>
#include <numbers>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};

struct Circle : Shape {
  explicit Circle(double r) : radius(r) {}
  double area() const override { return std::numbers::pi * radius * radius; }
  double radius;
};

struct Box : Shape {
  Box(double w, double h) : width(w), height(h) {}
  double area() const override { return width * height; }
  double width, height;
};

struct Named {
  explicit Named(std::string n) : name(std::move(n)) {}
  virtual ~Named() = default;
  std::string name;
};

// Its Shape does not lie where the object begins, but behind the name.
struct Sign : Named, Shape {
  Sign(std::string n, double w) : Named(std::move(n)), width(w) {}
  double area() const override { return width; }
  double width;
};

using AnyShape = std::variant<Circle, Box, Sign>;
using Pool = fastalloc::GrowingPool<AnyShape>;

// Builds an S in the pool. The handle owns the variant and points at the Shape inside.
template <class S, class... Args> fastalloc::Handle<Shape> make(Pool& pool, Args&&... args) {
  auto any = pool.allocate(std::in_place_type<S>, std::forward<Args>(args)...);
  Shape* const shape = std::get_if<S>(any.get());
  return {std::move(any), shape};
}

double total_area(std::vector<fastalloc::Handle<Shape>> const& shapes) {
  double sum = 0;
  for (auto const& shape : shapes) sum += shape->area();
  return sum;
}

}  // namespace

int main() {
  Pool pool(2);  // before the handles; grows
  std::vector<fastalloc::Handle<Shape>> shapes;
  for (int i = 1; i <= 4; ++i) {
    shapes.push_back(make<Circle>(pool, i));
    shapes.push_back(make<Box>(pool, i, 2));
    shapes.push_back(
        make<Sign>(pool, "a name that is too long for the string itself, number " + std::to_string(i), 0.5));
  }
  std::printf("%zu shapes of 3 classes in one pool of %zu, area %.2f\n", shapes.size(), pool.capacity(),
              total_area(shapes));

  // A handle to the base may be moved, sorted and dropped as any other.
  std::sort(shapes.begin(), shapes.end(), [](auto const& a, auto const& b) { return a->area() > b->area(); });
  std::printf("the largest: %.2f, the smallest: %.2f\n", shapes.front()->area(), shapes.back()->area());
  shapes.resize(3);
  std::printf("the three largest stay: area %.2f, %zu slots in use\n", total_area(shapes), pool.allocated());

  // The slots are free again: the next nine need no more memory.
  std::size_t const before = pool.capacity();
  for (int i = 0; i != 9; ++i) shapes.push_back(make<Sign>(pool, "new", 1));
  std::printf("nine more: %zu in use, capacity %s\n", pool.allocated(),
              pool.capacity() == before ? "as before" : "grown");

  // Over all objects, whatever they are, in memory order.
  std::size_t signs = 0;
  pool.for_each([&](AnyShape& any) { signs += std::holds_alternative<Sign>(any); });
  std::printf("signs among them: %zu\n", signs);

  shapes.clear();
  std::printf("at the end: %zu in use\n", pool.allocated());
}
