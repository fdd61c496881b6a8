// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects that know their own key, from their constructor on.
//
// Use it where a constructor has to say who it is: it registers at a bus, a timer, a scheduler, a remote peer. A
// pointer would dangle there, and after allocate() the key comes too late. So the key comes first: reserve_key() takes
// the slot, and build() constructs the object there. A message that arrives between the two finds nothing, as it does
// after the object's end.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

using fastalloc::Key;

/// Knows subscribers by key, so nobody has to unsubscribe.
struct Bus {
  std::vector<Key> subscribers;
};

class Player;
using Players = fastalloc::FixedPool<Player, fastalloc::Generations>;

class Player {
 public:
  Player(Key self, Bus& bus, std::string name) : self_(self), name_(std::move(name)) {
    bus.subscribers.push_back(self);
  }

  void hear(char const* message) const {
    std::printf("  %s (slot %u) hears: %s\n", name_.c_str(), self_.index(), message);
  }
  [[nodiscard]] Key self() const { return self_; }

 private:
  Key self_;
  std::string name_;
};

/// Reserves a key, and builds the object with it as its first argument. Returns: an empty handle if the pool is full.
template <class Pool, class... Args> typename Pool::handle_type make_with_key(Pool& pool, Args&&... args) {
  struct Reserved {
    Pool& pool;
    Key key = pool.try_reserve_key();
    ~Reserved() {
      if (key) pool.try_cancel(key);  // a constructor threw; refused, and without effect, once the object is built
    }
  } const reserved{pool};
  if (!reserved.key) return {};
  return pool.build(reserved.key, reserved.key, std::forward<Args>(args)...);
}

void send(Players& players, Bus const& bus, char const* message) {
  std::printf("%s to %zu keys:\n", message, bus.subscribers.size());
  for (Key const key : bus.subscribers)
    if (Player const* player = players.get(key)) player->hear(message);
}

}  // namespace

int main() {
  Bus bus;
  Players players(3);
  auto ann = make_with_key(players, bus, "Ann");
  auto bob = make_with_key(players, bus, "Bob");

  send(players, bus, "hello");

  Key const coming = players.reserve_key();  // Cem's data is still being loaded; others may refer to him already
  std::printf("Cem is %s\n", players.contains(coming) ? "here" : "on his way");
  auto const cem = players.build(coming, coming, bus, "Cem");
  std::printf("Cem is %s, and who was announced: %s\n", players.contains(coming) ? "here" : "on his way",
              cem->self() == coming ? "yes" : "no");

  bob.reset();
  auto dan = make_with_key(players, bus, "Dan");  // in Bob's slot, under a key of his own
  send(players, bus, "good night");

  std::printf("a fourth player: %s\n", make_with_key(players, bus, "Eve") ? "joins" : "the room is full");
}
