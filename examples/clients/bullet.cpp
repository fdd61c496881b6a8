// SPDX-License-Identifier: MIT OR Apache-2.0
// Bullet with its memory from a PoolResource: btAlignedAllocSetCustomAligned(), before the first object of Bullet's.
#include "client.hpp"

#include <btBulletDynamicsCommon.h>

#include <cstring>
#include <memory>
#include <vector>

namespace {

template <class Source> void use_memory() {
  if constexpr (Source::has_hooks)
    btAlignedAllocSetCustomAligned(
        [](std::size_t bytes, int alignment) {
          return Source::aligned_alloc(static_cast<std::size_t>(alignment), bytes);
        },
        Source::free);
}

/// Boxes, spheres and compounds that fall onto a floor. A body far below is made anew at the top.
class Scene {
 public:
  explicit Scene(int bodies) {
    world_.setGravity({0, -10, 0});
    add(0, floor_, {0, -10, 0});
    for (int part = 0; part != 3; ++part) {
      btTransform place;
      place.setIdentity();
      place.setOrigin({static_cast<btScalar>(part) - 1, 0, 0});
      compound_.addChildShape(place, part == 1 ? static_cast<btCollisionShape*>(&sphere_) : &box_);
    }
    for (int i = 0; i != bodies; ++i) drop();
  }
  Scene(Scene const&) = delete;
  Scene& operator=(Scene const&) = delete;
  ~Scene() {
    while (!bodies_.empty()) remove(bodies_.size() - 1);
  }

  void step() {
    world_.stepSimulation(1 / btScalar(60), 0);
    for (std::size_t i = 1; i < bodies_.size(); ++i)
      if (bodies_[i]->getWorldTransform().getOrigin().y() < -20) {
        remove(i);
        drop();
      }
    if (++steps_ % 4 != 0) return;  // one of them goes, another one comes
    remove(1 + random_.below(static_cast<std::uint32_t>(bodies_.size() - 1)));
    drop();
  }
  [[nodiscard]] std::uint64_t sum() const {
    std::uint64_t sum = client::checksum("");
    for (auto const& body : bodies_) {
      btVector3 const& at = body->getWorldTransform().getOrigin();
      for (btScalar const value : {at.x(), at.y(), at.z()}) {
        char bytes[sizeof value];
        std::memcpy(bytes, &value, sizeof value);
        sum = client::checksum({bytes, sizeof bytes}, sum);
      }
    }
    return sum;
  }

 private:
  void add(btScalar mass, btCollisionShape& shape, btVector3 const& at) {
    btVector3 inertia(0, 0, 0);
    if (mass != 0) shape.calculateLocalInertia(mass, inertia);
    bodies_.push_back(std::make_unique<btRigidBody>(mass, nullptr, &shape, inertia));
    bodies_.back()->getWorldTransform().setOrigin(at);
    world_.addRigidBody(bodies_.back().get());
  }
  void remove(std::size_t i) {
    world_.removeRigidBody(bodies_[i].get());
    bodies_.erase(bodies_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void drop() {
    auto const within = [this](std::uint32_t range) {
      return static_cast<btScalar>(random_.below(range * 100)) / 100 - static_cast<btScalar>(range) / 2;
    };
    btCollisionShape* const shapes[] = {&box_, &sphere_, &compound_};
    add(1, *shapes[random_.below(3)], {within(16), 12 + within(20), within(16)});
  }

  btDefaultCollisionConfiguration configuration_;
  btCollisionDispatcher dispatcher_{&configuration_};
  btDbvtBroadphase broadphase_;
  btSequentialImpulseConstraintSolver solver_;
  btDiscreteDynamicsWorld world_{&dispatcher_, &broadphase_, &solver_, &configuration_};
  btBoxShape floor_{{12, 10, 12}}, box_{{0.5f, 0.5f, 0.5f}};
  btSphereShape sphere_{0.5f};
  btCompoundShape compound_;
  std::vector<std::unique_ptr<btRigidBody>> bodies_;
  client::Random random_;
  unsigned steps_ = 0;
};

template <class Source> std::uint64_t work(int size) {
  use_memory<Source>();
  Scene scene(size);
  for (int i = 0; i != 200; ++i) scene.step();
  return scene.sum();
}

}  // namespace

int main(int argc, char** argv) {
  return client::main(
      argc, argv, 40, 640,
      {{"default", work<client::Plain>}, {"fastalloc", work<client::Pools>}, {"counted", work<client::Counted>}});
}
