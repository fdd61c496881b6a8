// SPDX-License-Identifier: MIT OR Apache-2.0
// The memory of one connection's handlers, in the manner of Asio.
//
// Use it where each asynchronous operation allocates its handler: a connection has one or two operations under way, so
// two slots inside the connection serve all of them, and no operation takes from the heap. The allocator below is what
// boost::asio::bind_allocator(HandlerAllocator<int>(memory), handler) wants. A third operation comes from the heap, and
// is counted; so does a handler that is too big for a slot, uncounted.
#include <fastalloc/fastalloc.hpp>

#include <cstddef>
#include <cstdio>
#include <deque>
#include <memory>
#include <new>
#include <utility>

namespace {

struct Block {
  alignas(std::max_align_t) std::byte bytes[128];
};

/// A member of the connection; used on its strand only, so without a lock.
class HandlerMemory {
 public:
  void* pop(std::size_t bytes) {
    ++operations_;
    return bytes <= sizeof(Block) ? blocks_.allocate_for_overwrite().release() : ::operator new(bytes);
  }
  void push(void* p, std::size_t bytes) noexcept {
    if (bytes <= sizeof(Block)) blocks_.adopt(static_cast<Block*>(p)).reset();
    else ::operator delete(p);
  }
  [[nodiscard]] std::size_t operations() const { return operations_; }
  [[nodiscard]] std::size_t on_heap() const { return blocks_.heap_objects(); }

 private:
  std::size_t operations_ = 0;
  fastalloc::FixedPool<Block, fastalloc::InlineStorage<2>, fastalloc::HeapFallback> blocks_;
};

template <class T> class HandlerAllocator {
 public:
  using value_type = T;
  explicit HandlerAllocator(HandlerMemory& memory) noexcept : memory_(&memory) {}
  template <class U> HandlerAllocator(HandlerAllocator<U> const& other) noexcept : memory_(other.memory_) {}

  T* allocate(std::size_t n) { return static_cast<T*>(memory_->pop(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { memory_->push(p, n * sizeof(T)); }
  bool operator==(HandlerAllocator const&) const noexcept = default;

 private:
  template <class U> friend class HandlerAllocator;
  HandlerMemory* memory_;
};

/// Stands for an io_context: it allocates each operation with the allocator of its handler, and gives that memory back
/// before it calls the handler, which may so start the next operation in the same memory.
class Context {
 public:
  template <class F> void start(HandlerMemory& memory, F handler) {
    using Op = Operation<F>;
    HandlerAllocator<Op> allocator(memory);
    queue_.push_back(std::construct_at(allocator.allocate(1), memory, std::move(handler)));
  }
  void run() {
    while (!queue_.empty()) {
      Base* const next = queue_.front();
      queue_.pop_front();
      next->complete(next);
    }
  }

 private:
  struct Base {
    void (*complete)(Base*);
  };
  template <class F> struct Operation : Base {
    Operation(HandlerMemory& m, F f) : Base{&Operation::run}, memory(&m), handler(std::move(f)) {}
    static void run(Base* base) {
      auto* const self = static_cast<Operation*>(base);
      HandlerAllocator<Operation> allocator(*self->memory);
      F handler = std::move(self->handler);
      std::destroy_at(self);
      allocator.deallocate(self, 1);
      handler();
    }
    HandlerMemory* memory;
    F handler;
  };
  std::deque<Base*> queue_;
};

struct Connection {
  Context& context;
  HandlerMemory memory{};
  int received = 0, sent = 0;

  void read() {
    context.start(memory, [this] {
      write();  // the echo
      if (++received != 1000) read();
    });
  }
  void write() {
    context.start(memory, [this] { ++sent; });
  }
};

}  // namespace

int main() {
  Context context;
  Connection connection{.context = context};
  connection.read();
  context.run();
  std::printf("%d received, %d sent, %zu operations; on the heap: %zu\n", connection.received, connection.sent,
              connection.memory.operations(), connection.memory.on_heap());
  for (int i = 0; i != 5; ++i) connection.write();
  std::printf("five operations at once; on the heap: %zu\n", connection.memory.on_heap());
  context.run();
  std::printf("afterwards: %zu\n", connection.memory.on_heap());
}
