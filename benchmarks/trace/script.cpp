// SPDX-License-Identifier: MIT OR Apache-2.0
// Turns events into steps: gives each object a place, reusing those of objects that died, and each step its handler,
// and follows how much is live.
#include "script.hpp"

#include <algorithm>
#include <utility>

namespace fastalloc::trace {
namespace {

// Every class is made of multiples of 16 bytes, malloc's own alignment.
constexpr std::uint64_t pool_alignment = 16;

class Writer {
 public:
  explicit Writer(Script& script) noexcept : script_(script) {}

  void add(Action action, Step step) {
    step.handler = static_cast<std::uint16_t>(handler_index(action, step.size_class));
    script_.steps.push_back(step);
    script_.used[step.size_class] = true;
    ++script_.actions[static_cast<std::size_t>(action)];
    script_.left_to_malloc += step.size_class == beyond ? 1 : 0;
    grow(action, step);
  }

  // Frees what is left, behind the timed steps.
  void finish() {
    script_.timed = script_.steps.size();
    for (std::size_t place = 0; place != live_.size(); ++place) {
      if (live_[place].is_live) {
        Step step{0, 0, static_cast<std::uint32_t>(place), 0, live_[place].size_class, 0};
        step.handler = static_cast<std::uint16_t>(handler_index(Action::free, step.size_class));
        script_.steps.push_back(step);
      }
    }
    script_.places = live_.size();
  }

 private:
  struct Live {
    std::uint64_t size;
    std::uint8_t size_class;
    bool is_live;
  };

  void grow(Action action, Step const& step) {
    if (step.place >= live_.size()) {
      live_.resize(step.place + std::size_t{1});
    }
    Live& object = live_[step.place];
    objects_ -= object.is_live ? 1 : 0;
    bytes_ -= object.is_live ? object.size : 0;
    object = {step.size, step.size_class, action != Action::free};
    objects_ += object.is_live ? 1 : 0;
    bytes_ += object.is_live ? object.size : 0;
    script_.peak_objects = std::max(script_.peak_objects, objects_);
    if (bytes_ > script_.peak_bytes) {
      script_.peak_bytes = bytes_;
      script_.peak_step = script_.steps.size();
    }
  }

  Script& script_;
  std::vector<Live> live_;  // by place
  std::uint64_t objects_ = 0;
  std::uint64_t bytes_ = 0;
};

struct Object {
  std::uint64_t size;
  std::uint32_t place;
  std::uint8_t size_class;
};

}  // namespace

Script make_script(Trace const& trace) {
  Script script;
  script.steps.reserve(static_cast<std::size_t>(trace.events()));
  Writer writer(script);
  std::vector<Object> objects(static_cast<std::size_t>(trace.objects()));
  std::vector<std::uint32_t> free_places;
  std::uint32_t places = 0;
  auto const take_place = [&] {
    if (free_places.empty()) {
      return places++;
    }
    std::uint32_t const place = free_places.back();
    free_places.pop_back();
    return place;
  };

  EventCursor cursor = trace.cursor();
  Event event;
  while (cursor.next(event)) {
    Object& object = objects[static_cast<std::size_t>(event.object)];
    if (event.kind == Kind::free) {
      writer.add(Action::free, {0, 0, object.place, 0, object.size_class, 0});
      free_places.push_back(object.place);
      continue;
    }
    std::uint64_t const alignment = std::uint64_t{1} << event.alignment_log2;
    bool const is_over_aligned = alignment > pool_alignment;
    object.size = event.size;
    object.size_class = static_cast<std::uint8_t>(is_over_aligned ? beyond : class_of(event.size));
    if (event.kind == Kind::reallocate) {
      Object const& old = objects[static_cast<std::size_t>(event.old)];
      object.place = old.place;
      writer.add(Action::reallocate, {event.size, old.size, object.place, 0, object.size_class, old.size_class});
      continue;
    }
    object.place = take_place();
    Action const action = is_over_aligned                       ? Action::allocate_aligned
                          : event.kind == Kind::allocate_zeroed ? Action::allocate_zeroed
                                                                : Action::allocate;
    writer.add(action, {event.size, is_over_aligned ? alignment : 0, object.place, 0, object.size_class, 0});
  }
  writer.finish();
  return script;
}

Script part_of(Script const& whole, std::size_t size_class) {
  Script part;
  Writer writer(part);
  for (std::size_t i = 0; i != whole.timed; ++i) {
    Step const& step = whole.steps[i];
    bool const is_reallocation = step.handler == handler_index(Action::reallocate, 0);
    if (is_reallocation && step.size_class != step.before_class) {
      if (step.before_class == size_class) {
        writer.add(Action::free, {0, 0, step.place, 0, step.before_class, 0});
      } else if (step.size_class == size_class) {
        writer.add(Action::allocate, {step.size, 0, step.place, 0, step.size_class, 0});
      }
    } else if (step.size_class == size_class) {
      Action const action = is_reallocation ? Action::reallocate
                            : step.handler == handler_index(Action::allocate_aligned, 0)
                                ? Action::allocate_aligned
                                : static_cast<Action>(step.handler % 3);
      writer.add(action, step);
    }
  }
  writer.finish();
  return part;
}

std::size_t steps_before(Script const& script, std::size_t i) noexcept {
  constexpr std::size_t count = MemorySamples::count;
  return script.timed / count * (i + 1) + script.timed % count * (i + 1) / count;
}

MemorySamples live_memory(Script const& script) {
  MemorySamples samples{};
  std::vector<std::uint64_t> sizes(script.places, 0);
  std::uint64_t live = 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i != samples.count; ++i) {
    bool has_peak = false;
    for (std::size_t const stop = steps_before(script, i); done != stop;) {
      Step const& step = script.steps[done++];
      live += step.size - std::exchange(sizes[step.place], step.size);  // a free has the size 0
      has_peak = has_peak || done == script.peak_step;
    }
    samples.bytes[i] = has_peak ? script.peak_bytes : live;
  }
  return samples;
}

}  // namespace fastalloc::trace
