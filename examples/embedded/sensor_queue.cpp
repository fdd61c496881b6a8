// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects that go from an interrupt handler to the main program and the other way: who makes them takes them from a
// pool, who is done with them gives them back, and between both goes a pointer. A full pool is no error here: the
// handler counts what it lost.
#include "sensor_queue.hpp"

#include "cortex_m.hpp"

#include <fastalloc/lock/interrupt_lock.hpp>
#include <fastalloc/lock/lock_free.hpp>
#include <fastalloc/pool/fixed_pool.hpp>
#include <fastalloc/pool/no_destructor.hpp>
#include <fastalloc/storage/inline_storage.hpp>

#include <atomic>

namespace {

using cortex_m::print;
using fastalloc::FixedPool, fastalloc::InlineStorage, fastalloc::NoDestructor;

using InterruptsOff = fastalloc::InterruptLock<cortex_m::mask_interrupts, cortex_m::restore_interrupts>;
#if ATOMIC_INT_LOCK_FREE == 2                      // this processor can compare and swap
using SharedWithInterrupts = fastalloc::LockFree;  // interrupts are never off
constexpr char const* lock_name = "LockFree";
#else
using SharedWithInterrupts = InterruptsOff;
constexpr char const* lock_name = "InterruptLock";
#endif

struct Sample {
  std::uint32_t time;
  std::int16_t axis[4];
};
struct Message {
  std::uint32_t number;
  std::uint32_t text[6];
};

// All in .bss, all zero: nothing runs at start-up.
constinit NoDestructor<FixedPool<Sample, InlineStorage<8>, InterruptsOff>> samples;
constinit NoDestructor<FixedPool<Message, InlineStorage<6>, SharedWithInterrupts>> messages;

/// One side pushes, the other one pops. On one core loads and stores of a word are all that it takes.
template <class T, std::uint32_t capacity> class Queue {
 public:
  bool push(T* object) noexcept {
    // relaxed: only this side writes it
    std::uint32_t const end = end_.load(std::memory_order_relaxed);
    // acquire: the place was read
    if (end - begin_.load(std::memory_order_acquire) == capacity) return false;
    places_[end % capacity] = object;
    end_.store(end + 1, std::memory_order_release);  // release: pairs with the acquire in pop()
    return true;
  }
  T* pop() noexcept {
    // relaxed: only this side writes it
    std::uint32_t const begin = begin_.load(std::memory_order_relaxed);
    // acquire: the object was written
    if (begin == end_.load(std::memory_order_acquire)) return nullptr;
    T* const object = places_[begin % capacity];
    begin_.store(begin + 1, std::memory_order_release);  // release: pairs with the acquire in push()
    return object;
  }

 private:
  std::atomic<std::uint32_t> begin_{0}, end_{0};
  T* places_[capacity] = {};
};
constinit Queue<Sample, 8> sample_queue;
constinit Queue<Message, 8> message_queue;

// Written by the handler, read by the main program.
constinit std::atomic<std::uint32_t> time{0}, lost{0}, freed{0}, damaged{0};
constinit std::uint32_t refused = 0;

void take_sample() {
  std::uint32_t const now = time.load(std::memory_order_relaxed);  // relaxed: only handlers write it
  time.store(now + 1, std::memory_order_relaxed);
  auto const x = static_cast<std::int16_t>(now);
  auto sample = samples->try_allocate(now, x, static_cast<std::int16_t>(-x));
  if (sample) return void(sample_queue.push(sample.release()));
  std::uint32_t const so_far = lost.load(std::memory_order_relaxed) + 1;  // relaxed: as above
  lost.store(so_far, std::memory_order_relaxed);
  if (so_far == 5) cortex_m::stop_systick();  // enough for this example
}

void free_messages() {
  if (auto const own = messages->try_allocate(0U); !own) ++refused;  // handlers may take slots as well
  for (int i = 0; i != 2; ++i) {
    auto const message = messages->adopt(message_queue.pop());  // empty where there is none
    if (!message) return;
    bool const whole = message->number == freed.load(std::memory_order_relaxed) && message->text[5] == ~message->number;
    // relaxed: only handlers write them
    if (!whole) damaged.store(damaged.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    freed.store(freed.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
}

constinit void (*on_tick)() = nullptr;

constexpr std::uint32_t tick = 997;  ///< cycles; a prime number, so that the main program is met everywhere

}  // namespace

extern "C" void systick_handler() { on_tick(); }

void samples_from_interrupt() {
  on_tick = take_sample;
  cortex_m::start_systick(tick);
  std::uint32_t in_order = 0;
  while (in_order != 1000) {
    auto const sample = samples->adopt(sample_queue.pop());
    if (!sample) {
      auto const average = samples->try_allocate();  // so interrupts come while the main program is inside the pool
      continue;                                      // (a program with nothing else to do calls wait_for_interrupt())
    }
    if (sample->time != in_order || sample->axis[0] + sample->axis[1] != 0) break;
    ++in_order;
  }
  check(in_order == 1000, "1000 samples came in order, and whole");
  check(lost == 0, "none was lost while the main program kept up");

  // The main program is busy with something else: the pool runs full, and what comes then is lost.
  while (lost != 5) {}
  check(samples->is_full() && samples->allocated() == 8, "8 samples wait in the full pool");
  std::uint32_t waiting = 0;
  while (auto const sample = samples->adopt(sample_queue.pop())) waiting += sample->time == in_order + waiting ? 1 : 0;
  check(waiting == 8 && samples->is_empty(), "they come in order, and the pool is empty");
  print("samples: "), print(in_order + waiting), print(" from the interrupt in order, "), print(lost),
      print(" lost while the pool was full\n");
}

void messages_to_interrupt() {
  on_tick = free_messages;
  messages->warm_up();  // with LockFree the first operation takes a spin lock: before there are interrupts
  cortex_m::start_systick(tick);
  std::uint32_t number = 0;
  while (freed != 1000) {
    auto message = messages->try_allocate(number);
    // gives it back: interrupts come while that goes on
    if (!message || number == 1000 || number - freed == 4) continue;
    message->text[5] = ~number;
    if (!message_queue.push(message.release())) break;  // cannot be: 4 are on their way, and it has room for 8
    ++number;
  }
  cortex_m::stop_systick();
  check(freed == 1000 && damaged == 0, "1000 messages were freed by the interrupt, in order and whole");
  check(refused == 0, "a handler that finds 4 or 5 of 6 slots in use gets one");
  check(messages->is_empty() && messages->check_invariants(), "all slots are back");
  print("messages: "), print(freed), print(" freed by the interrupt; "), print(lock_name), print("\n");
}
