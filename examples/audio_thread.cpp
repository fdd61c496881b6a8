// SPDX-License-Identifier: MIT OR Apache-2.0
// An audio thread that must not run destructors.
//
// Use it where a thread with deadlines lets go of objects whose end takes long, locks or calls the heap: audio, control
// loops, renderers. A handle is two words and moves without touching the object or the pool. So the audio thread never
// destroys one: it sends the handle back, and a collector destroys it. Both queues are rings of handles without locks.
// Since only the main thread allocates and destroys, the pool needs no lock either.
#include <fastalloc/fastalloc.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

namespace {

thread_local bool is_audio_thread = false;
int destroyed_by_audio = 0, destroyed = 0;

struct Sample {
  explicit Sample(int n) : number(n), frames(256, static_cast<float>(n)) {}
  ~Sample() {
    ++destroyed;
    if (is_audio_thread) ++destroyed_by_audio;
  }
  int number;
  std::vector<float> frames;  // its end calls the heap
};
using Samples = fastalloc::FixedPool<Sample>;
using SampleHandle = Samples::handle_type;

/// One thread pushes, one pops.
template <std::size_t N> class Ring {
 public:
  /// Returns: false, and leaves the handle alone, if the ring is full.
  bool push(SampleHandle& handle) noexcept {
    std::size_t const end = end_.load(std::memory_order_relaxed);         // only this thread writes it
    if (end - begin_.load(std::memory_order_acquire) == N) return false;  // acquire: the place is empty
    places_[end % N] = std::move(handle);
    end_.store(end + 1, std::memory_order_release);  // release: publishes the handle, and the object
    return true;
  }
  SampleHandle pop() noexcept {
    std::size_t const begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return nullptr;
    SampleHandle handle = std::move(places_[begin % N]);
    begin_.store(begin + 1, std::memory_order_release);
    return handle;
  }

 private:
  std::array<SampleHandle, N> places_;
  std::atomic<std::size_t> begin_{0}, end_{0};
};

class Player {
 public:
  Ring<4> to_play, done;
  std::atomic<bool> stop{false};

  /// One period of the audio thread: sends back what was played, and begins with what came. Returns: false at the end.
  bool render() noexcept {
    if (played_ && !done.push(played_)) return true;             // the collector is late: go on with this sample
    bool const stopping = stop.load(std::memory_order_acquire);  // acquire: all samples are in the ring
    auto next = to_play.pop();
    if (!next && stopping && !playing_) return false;
    if (next || stopping) played_ = std::exchange(playing_, std::move(next));
    return true;
  }

 private:
  SampleHandle playing_ = nullptr, played_ = nullptr;
};

}  // namespace

int main() {
  Samples samples(16);
  Player player;
  std::thread audio([&] {
    is_audio_thread = true;
    while (player.render()) std::this_thread::yield();
  });

  int collected = 0, in_order = 0;
  auto const collect = [&] {
    while (auto const handle = player.done.pop())  // destroyed here, on the main thread
      if (handle->number == collected++) ++in_order;
    std::this_thread::yield();
  };
  for (int sent = 0; sent != 1000; ++sent) {
    SampleHandle sample = samples.try_allocate(sent);
    for (; !sample; sample = samples.try_allocate(sent)) collect();
    while (!player.to_play.push(sample)) collect();
  }
  player.stop.store(true, std::memory_order_release);
  while (collected != 1000) collect();
  audio.join();
  std::printf("%d samples played, %d in order; %d destroyed, %d of them by the audio thread; %zu in use\n", collected,
              in_order, destroyed, destroyed_by_audio, samples.allocated());
}
