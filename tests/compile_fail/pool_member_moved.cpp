// expect: pools do not move; use MovablePool
// SPDX-License-Identifier: MIT OR Apache-2.0
#include <fastalloc/fastalloc.hpp>

#include <vector>

struct Graph {
  fastalloc::GrowingPool<int> pool{16};
  std::vector<fastalloc::GrowingPool<int>::handle_type> nodes;
};

Graph load() {
  Graph graph;
  return graph;
}
