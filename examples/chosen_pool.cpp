// SPDX-License-Identifier: MIT OR Apache-2.0
// Pools that are chosen at run time, behind one interface.
//
// Use it where a configuration file, a command line or a test decides which pool there is: one with a bound, one that
// grows, one for threads. The policies are types, so each choice is a class; an abstract class with one function makes
// them one. Only allocation is a virtual call: Handle<Message> is of the same type whatever pool the object is from,
// and returns it by itself.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Message {
  int id;
  std::string text;
};

class Messages {
 public:
  virtual ~Messages() = default;
  /// Returns: an empty handle if there is no room.
  [[nodiscard]] virtual fastalloc::Handle<Message> make(int id, std::string text) = 0;
  [[nodiscard]] virtual std::size_t in_use() const = 0;
};

template <class Pool> class MessagesIn final : public Messages {
 public:
  explicit MessagesIn(fastalloc::PoolConfig const& config) : pool_(config) {}
  fastalloc::Handle<Message> make(int id, std::string text) override { return pool_.try_allocate(id, std::move(text)); }
  std::size_t in_use() const override { return pool_.allocated(); }

 private:
  Pool pool_;
};

/// Returns: null for a kind that there is not.
std::unique_ptr<Messages> make_messages(std::string_view kind, std::size_t capacity) {
  using namespace fastalloc;
  PoolConfig config{.capacity = capacity, .name = "messages"};
  if (kind == "fixed") return std::make_unique<MessagesIn<FixedPool<Message>>>(config);
  config.growth_strategy = GrowthStrategy::exponential(2);
  if (kind == "growing") return std::make_unique<MessagesIn<GrowingPool<Message>>>(config);
  if (kind == "threads") return std::make_unique<MessagesIn<ThreadSafePool<Message>>>(config);
  return nullptr;
}

}  // namespace

int main() {
  for (char const* kind : {"fixed", "growing", "threads", "elastic"}) {
    auto const messages = make_messages(kind, 2);
    if (!messages) {
      std::printf("%s: no such pool; choose fixed, growing or threads\n", kind);
      continue;
    }
    std::vector<fastalloc::Handle<Message>> queue;  // one type, whatever the pool
    for (int id = 1; id <= 5; ++id)
      if (auto message = messages->make(id, "message " + std::to_string(id))) queue.push_back(std::move(message));
    std::printf("%s: %zu of 5 queued, the last is \"%s\"\n", kind, queue.size(), queue.back()->text.c_str());
    queue.clear();
    std::printf("  afterwards %zu in use\n", messages->in_use());
  }
}
