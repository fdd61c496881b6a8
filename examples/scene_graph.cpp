// SPDX-License-Identifier: MIT OR Apache-2.0
// A scene graph: who owns, who shares, and who only remembers.
//
//   nodes    are owned by their parents (handles), and remembered by everybody else by key: selection, scripts
//   meshes   are shared by the nodes that show them (shared handles), and remembered by the cache that loads them (weak
//            handles)
//
// A node that is deleted takes its children along, and lets go of its mesh. Keys of deleted nodes find nothing, also
// when another node lives in the slot. Nothing here counts references by hand, or tells others that something is gone.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Mesh {
  std::string file;
  int triangles;
};

/// One mesh a file, as long as a node shows it.
class MeshCache {
 public:
  fastalloc::SharedHandle<Mesh> load(std::string const& file) {
    fastalloc::WeakHandle<Mesh>& known = known_[file];
    if (auto mesh = known.lock()) return mesh;
    std::printf("  loading %s\n", file.c_str());
    auto mesh = meshes_.allocate(file, 100 * static_cast<int>(file.size())).share();
    known = mesh.downgrade();
    return mesh;
  }
  [[nodiscard]] std::size_t slots_in_use() const { return meshes_.allocated(); }

 private:
  fastalloc::GrowingPool<Mesh, fastalloc::Shared> meshes_{8};  // outlives the weak handles below
  std::map<std::string, fastalloc::WeakHandle<Mesh>> known_;
};

struct Node;
using NodePool = fastalloc::GrowingPool<Node, fastalloc::Generations, fastalloc::BitmapAllocator>;

struct Node {
  std::string name;
  float x = 0;
  fastalloc::SharedHandle<Mesh> mesh = nullptr;
  fastalloc::Handle<Node, NodePool> first_child = nullptr, next = nullptr;  // Node is incomplete here

  void add(fastalloc::Handle<Node, NodePool> child) {
    child->next = std::move(first_child);
    first_child = std::move(child);
  }
  /// Deletes a child, and what hangs below it.
  bool remove(Node const* child) {
    for (auto* link = &first_child; *link; link = &(*link)->next) {
      if (link->get() != child) continue;
      auto const gone = std::move(*link);
      *link = std::move(gone->next);
      return true;
    }
    return false;
  }
};

/// Where a node is in the world: the sum of the moves on the way from the root.
void print(Node const& node, float x, int depth) {
  x += node.x;
  std::printf("  %*s%s at %g%s%s\n", 2 * depth, "", node.name.c_str(), static_cast<double>(x), node.mesh ? ", " : "",
              node.mesh ? node.mesh->file.c_str() : "");
  for (Node const* child = node.first_child.get(); child != nullptr; child = child->next.get())
    print(*child, x, depth + 1);
}

}  // namespace

int main() {
  MeshCache cache;
  NodePool nodes(16);
  auto root = nodes.allocate("world");

  std::printf("a tank and a house\n");
  auto tank = nodes.allocate("tank", 10.0F, cache.load("tank.obj"));
  auto turret = nodes.allocate("turret", 1.0F, cache.load("turret.obj"));
  auto house = nodes.allocate("house", 30.0F, cache.load("house.obj"));
  fastalloc::Key const selected = nodes.key(turret);  // what the player clicked on
  fastalloc::Key const target = nodes.key(house);     // what a script aims at
  tank->add(std::move(turret));
  root->add(std::move(tank));
  root->add(std::move(house));
  print(*root, 0, 0);

  std::printf("a row of tanks shares what one tank loaded\n");
  for (int i = 0; i != 3; ++i) root->add(nodes.allocate("tank", 40.0F + static_cast<float>(i), cache.load("tank.obj")));
  if (Node* const node = nodes.get(selected)) node->x = 2;  // the player moves it
  std::printf("  tank.obj is shown %zu times; %zu nodes, %zu meshes\n", root->first_child->mesh.use_count(),
              nodes.allocated(), cache.slots_in_use());

  std::printf("the house is blown up, and a crater takes its place\n");
  std::size_t const slot = nodes.index_of(nodes.get(target));
  root->remove(nodes.get(target));
  auto crater = nodes.allocate("crater", 30.0F);
  std::printf("  same slot: %s; the script's target: %s\n", nodes.index_of(crater) == slot ? "yes" : "no",
              nodes.get(target) != nullptr ? "found" : "gone");
  root->add(std::move(crater));

  std::printf("the first tank goes, and what was selected with it\n");
  for (Node& node : nodes.live()) {  // in the order of addresses; what the loop body deletes is skipped
    if (node.name == "tank" && node.x < 40) root->remove(&node);
  }
  std::printf("  selected: %s; tank.obj is shown %zu times\n", nodes.contains(selected) ? "found" : "gone",
              cache.load("tank.obj").use_count() - 1);

  std::printf("turret.obj was not shown any more, so it has to be loaded again\n");
  root->add(nodes.allocate("turret", 5.0F, cache.load("turret.obj")));
  print(*root, 0, 0);

  root.reset();
  std::printf("the end: %zu nodes\n", nodes.allocated());
}
