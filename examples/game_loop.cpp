// SPDX-License-Identifier: MIT OR Apache-2.0
// A game loop that draws itself: fireworks, in which entities are born and die in every frame. The same game runs on
// pools and on new and delete, and has to come to the same frames.
//
//   game_loop                    300 frames, counted, and one of them as text
//   game_loop --play             in the terminal, for ten seconds
//   game_loop --times            frame-time percentiles with pools and with new and delete; compile with -O2 -DNDEBUG
//   game_loop --frames FOLDER    frames as FOLDER/frame_<n>.svg: the same ones on every machine
//   game_loop FOLDER             the same, and the percentiles as FOLDER/frame_times.svg
//
// When to use: entities of a few types, a known bound for each, thousands of births and deaths a second. A full pool is
// no error here: the rocket has fewer sparks.
#include <fastalloc/fastalloc.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

// ---- the game

// In 1/256 of a pixel, so that every machine comes to the same frames.
struct Vec {
  int x, y;
};
constexpr int pixel = 256;
constexpr int width = 830, height = 300;

struct Rocket {
  Vec at, speed;
  int fuse;  // frames until it bursts
  int colour;
};
struct Spark {
  Vec at, speed;
  int life;  // frames
  int colour;
};

struct Random {
  std::uint32_t state;
  int below(int bound) {
    state = state * 1664525 + 1013904223;
    return static_cast<int>((state >> 8) % static_cast<std::uint32_t>(bound));
  }
};

struct Limits {
  std::size_t rockets, sparks;
};

// Where entities come from: a pool for each type. The owner is empty when the pool is full.
class Pools {
 public:
  template <class T> using Owner = typename fastalloc::FixedPool<T>::handle_type;
  explicit Pools(Limits limits)
      : rockets_({.capacity = limits.rockets, .pre_initialize = true, .name = "rockets"}),
        sparks_({.capacity = limits.sparks, .pre_initialize = true, .name = "sparks"}) {}
  Owner<Rocket> make(Rocket rocket) { return rockets_.try_allocate(rocket); }
  Owner<Spark> make(Spark spark) { return sparks_.try_allocate(spark); }

 private:
  fastalloc::FixedPool<Rocket> rockets_;
  fastalloc::FixedPool<Spark> sparks_;
};

// The heap, with the same bounds, which have to be counted by hand.
class Heap {
 public:
  template <class T> struct Release {
    std::size_t* live = nullptr;
    void operator()(T* object) const {
      --*live;
      delete object;
    }
  };
  template <class T> using Owner = std::unique_ptr<T, Release<T>>;
  explicit Heap(Limits limits) : limits_(limits) {}
  Owner<Rocket> make(Rocket rocket) { return make(rocket, live_.rockets, limits_.rockets); }
  Owner<Spark> make(Spark spark) { return make(spark, live_.sparks, limits_.sparks); }

 private:
  template <class T> static Owner<T> make(T const& object, std::size_t& live, std::size_t limit) {
    if (live == limit) return {};
    ++live;
    return Owner<T>(new T(object), {&live});
  }
  Limits limits_, live_{};
};

template <class Memory> class World {
 public:
  // `rockets`: how many start in 16 frames.
  World(Limits limits, int rockets) : memory_(limits), rockets_a_while_(rockets) {}

  void step() {
    for (int i = frame_ * rockets_a_while_ / 16; i != (frame_ + 1) * rockets_a_while_ / 16; ++i) launch();
    ++frame_;
    for (auto& rocket : rockets_) {
      move(*rocket);
      if (--rocket->fuse == 0) burst(*rocket);
    }
    erase_if(rockets_, [](Rocket const& rocket) { return rocket.fuse == 0; });
    for (auto& spark : sparks_) {
      move(*spark);
      --spark->life;
    }
    erase_if(sparks_, [](Spark const& spark) { return spark.life == 0 || spark.at.y > height * pixel; });
  }

  template <class F> void for_each_spark(F&& f) const {
    for (auto const& spark : sparks_) f(*spark);
  }
  template <class F> void for_each_rocket(F&& f) const {
    for (auto const& rocket : rockets_) f(*rocket);
  }
  [[nodiscard]] std::size_t rockets() const { return rockets_.size(); }
  [[nodiscard]] std::size_t sparks() const { return sparks_.size(); }
  [[nodiscard]] unsigned long long births() const { return births_; }
  [[nodiscard]] unsigned long long missing() const { return missing_; }

  // Differs where any entity differs.
  [[nodiscard]] std::uint32_t checksum() const {
    std::uint32_t sum = 0;
    auto const add = [&sum](Vec at, int more) {
      for (int value : {at.x, at.y, more}) sum = (sum ^ static_cast<std::uint32_t>(value)) * 16777619U;
    };
    for_each_rocket([&](Rocket const& rocket) { add(rocket.at, rocket.fuse); });
    for_each_spark([&](Spark const& spark) { add(spark.at, spark.life); });
    return sum;
  }

 private:
  template <class T> using Owners = std::vector<typename Memory::template Owner<T>>;

  template <class T> static void move(T& entity) {
    entity.at.x += entity.speed.x;
    entity.at.y += entity.speed.y;
    entity.speed.y += 12;  // falls
  }

  // The last one takes the place of one that died: its owner ends, and the slot is free again.
  template <class Entities, class IsDead> static void erase_if(Entities& entities, IsDead is_dead) {
    for (std::size_t i = 0; i != entities.size();) {
      if (!is_dead(*entities[i])) {
        ++i;
        continue;
      }
      if (i + 1 != entities.size()) entities[i] = std::move(entities.back());
      entities.pop_back();
    }
  }

  template <class T> void spawn(Owners<T>& list, T const& entity) {
    auto owner = memory_.make(entity);
    if (!owner) {
      ++missing_;
      return;
    }
    ++births_;
    list.push_back(std::move(owner));
  }

  void launch() {
    Vec const from{(60 + random_.below(width - 120)) * pixel, height * pixel};
    Vec const speed{random_.below(401) - 200, -900 - random_.below(450)};
    spawn(rockets_, Rocket{from, speed, 70 + random_.below(40), random_.below(4)});
  }

  void burst(Rocket const& rocket) {
    int const count = 40 + random_.below(81);
    for (int i = 0; i != count; ++i) {
      // From the corners of a square into its circle.
      Vec speed{random_.below(1025) - 512, random_.below(1025) - 512};
      while (speed.x * speed.x + speed.y * speed.y > 512 * 512) speed = {speed.x * 3 / 4, speed.y * 3 / 4};
      spawn(sparks_, Spark{rocket.at, speed, 30 + random_.below(50), rocket.colour});
    }
  }

  Memory memory_;  // before the owners, which end first
  Owners<Rocket> rockets_;
  Owners<Spark> sparks_;
  Random random_{7};
  int rockets_a_while_;
  int frame_ = 0;
  unsigned long long births_ = 0, missing_ = 0;
};

// ---- drawing

template <class Memory> std::string as_text(World<Memory> const& world) {
  constexpr int columns = 83, lines = 20;
  std::vector<std::string> picture(lines, std::string(columns, ' '));
  auto const dot = [&](Vec at, char c) {
    int const x = at.x / pixel * columns / width, y = at.y / pixel * lines / height;
    if (at.x >= 0 && at.y >= 0 && x < columns && y < lines)
      picture[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] = c;
  };
  world.for_each_spark([&](Spark const& spark) { dot(spark.at, spark.life > 40 ? '*' : spark.life > 15 ? '+' : '.'); });
  world.for_each_rocket([&](Rocket const& rocket) { dot(rocket.at, '|'); });
  std::string text;
  for (std::string& line : picture) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", value);
  return text;
}

std::string svg_head(int h) {
  std::string const size = std::to_string(width) + "' height='" + std::to_string(h) + "'";
  return "<svg xmlns='http://www.w3.org/2000/svg' width='" + size + " viewBox='0 0 " + std::to_string(width) + ' ' +
         std::to_string(h) + "'>\n";
}

// Dots of one colour and brightness are one path.
template <class Memory> std::string as_svg(World<Memory> const& world) {
  constexpr std::array colours{"#ffd166", "#ef6f6c", "#7bdff2", "#b8f2a6"};
  enum { bright, faded, rocket_dot, kinds };
  std::array<std::string, colours.size() * kinds> paths;
  auto const dot = [&](Vec at, int colour, int kind) {
    paths[static_cast<std::size_t>(colour * kinds + kind)] +=
        'M' + std::to_string(at.x / pixel) + ' ' + std::to_string(at.y / pixel) + "h0";
  };
  world.for_each_spark([&](Spark const& spark) { dot(spark.at, spark.colour, spark.life > 20 ? bright : faded); });
  world.for_each_rocket([&](Rocket const& rocket) { dot(rocket.at, rocket.colour, rocket_dot); });
  std::string svg = svg_head(height) + "<rect width='100%' height='100%' rx='6' fill='#0b1026'/>\n";
  for (std::size_t i = 0; i != paths.size(); ++i) {
    if (paths[i].empty()) continue;
    svg += std::string("<path stroke-linecap='round' fill='none' stroke='") + colours[i / kinds] + "' stroke-width='" +
           (i % kinds == rocket_dot ? "5" : "3") + "' opacity='" + (i % kinds == faded ? "0.4" : "1") + "' d='" +
           paths[i] + "'/>\n";
  }
  return svg + "</svg>\n";
}

bool save(std::string const& file, std::string const& text) {
  std::FILE* const out = std::fopen(file.c_str(), "wb");
  if (out == nullptr) return false;
  bool const written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  return std::fclose(out) == 0 && written;
}

// ---- frame times

using Times = std::vector<double>;  // microseconds

// A busy night: 25 rockets a frame, and about 100,000 sparks. The time of each frame.
template <class Memory> Times measure() {
  World<Memory> world({4000, 200'000}, 400);
  Times times;
  for (int frame = 0; frame != 400; ++frame) {
    auto const begin = std::chrono::steady_clock::now();
    world.step();
    std::chrono::duration<double, std::micro> const time = std::chrono::steady_clock::now() - begin;
    times.push_back(time.count());
  }
  return times;
}

// A frame does the same work in every round, so its least time leaves out what else the machine did.
Times least(std::vector<Times> const& rounds) {
  Times result = rounds[0];
  for (Times const& round : rounds)
    for (std::size_t frame = 0; frame != result.size(); ++frame) result[frame] = std::min(result[frame], round[frame]);
  return result;
}

struct Row {
  char const* name;
  double pools, heap;
};

std::vector<Row> percentiles() {
  std::vector<Times> rounds[2];
  for (int round = 0; round != 9; ++round) {  // in turn, so that both see the same machine
    rounds[0].push_back(measure<Pools>());
    rounds[1].push_back(measure<Heap>());
  }
  Times pools = least(rounds[0]), heap = least(rounds[1]);
  std::sort(pools.begin(), pools.end());
  std::sort(heap.begin(), heap.end());
  auto const row = [&](char const* name, double share) {
    auto const at = static_cast<std::size_t>(share * static_cast<double>(pools.size() - 1));
    return Row{name, pools[at], heap[at]};
  };
  return {row("half of the frames", 0.5), row("90 %", 0.9), row("99 %", 0.99), row("the slowest frame", 1)};
}

std::string as_svg(std::vector<Row> const& rows) {
  double longest = 1;
  for (Row const& row : rows) longest = std::max({longest, row.pools, row.heap});
  std::string svg = svg_head(54 + static_cast<int>(rows.size()) * 42);
  svg +=
      "<style>text{font:12px "
      "system-ui,sans-serif;fill:#1f2328}.title{font-weight:bold;font-size:14px}.paper{fill:#ffffff}"
      ".ours{fill:#0969da}.peer{fill:#d08a2e}@media (prefers-color-scheme:dark){.paper{fill:#0d1117}text{fill:#e6edf3}"
      ".ours{fill:#58a6ff}.peer{fill:#c98a2b}}</style>\n<rect width='100%' height='100%' rx='6' class='paper'/>\n"
      "<text x='10' y='20' class='title'>Time of a frame, microseconds: shorter is better</text>\n";
  double y = 36;
  for (Row const& row : rows) {
    svg += "<text x='10' y='" + number(y + 20) + "'>" + row.name + "</text>\n";
    auto const bar = [&](char const* kind, char const* name, double time) {
      double const length = 480 * time / longest;
      svg += "<text x='220' y='" + number(y + 12) + "' text-anchor='end'>" + name + "</text><rect x='226' y='" +
             number(y + 1) + "' width='" + number(length) + "' height='14' class='" + kind + "'/><text x='" +
             number(231 + length) + "' y='" + number(y + 12) + "'>" + number(time) + "</text>\n";
      y += 17;
    };
    bar("ours", "pools", row.pools);
    bar("peer", "new, delete", row.heap);
    y += 8;
  }
  return svg + "</svg>\n";
}

// ---- the program

constexpr Limits small{32, 1000};

int count_frames() {
  World<Pools> pools(small, 4);
  World<Heap> heap(small, 4);
  std::printf("frame  rockets  sparks  births  missing\n");
  std::string picture;
  for (int frame = 1; frame <= 300; ++frame) {
    pools.step();
    heap.step();
    if (pools.checksum() != heap.checksum()) {
      std::printf("frame %d differs\n", frame);
      return 1;
    }
    if (frame == 222) picture = as_text(pools);
    if (frame % 50 == 0)
      std::printf("%5d  %7zu  %6zu  %6llu  %7llu\n", frame, pools.rockets(), pools.sparks(), pools.births(),
                  pools.missing());
  }
  std::printf("with new and delete: the same 300 frames\n\nframe 222:\n%s", picture.c_str());
  return 0;
}

int play() {
  World<Pools> world(small, 3);
  for (int frame = 0; frame != 300; ++frame) {
    world.step();
    std::printf("\x1b[H\x1b[2J%s%zu rockets, %zu sparks\n", as_text(world).c_str(), world.rockets(), world.sparks());
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::milliseconds(33));
  }
  return 0;
}

int print_times() {
  std::printf("time of a frame, us     pools  new, delete\n");
  for (Row const& row : percentiles()) std::printf("%-22s%7.0f  %11.0f\n", row.name, row.pools, row.heap);
  return 0;
}

int draw(std::string const& folder, bool with_times) {
  World<Pools> world({400, 20'000}, 8);
  bool good = true;
  for (int frame = 1; frame <= 300; ++frame) {
    world.step();
    if (frame % 30 == 0) good &= save(folder + "/frame_" + std::to_string(frame) + ".svg", as_svg(world));
  }
  if (with_times) good &= save(folder + "/frame_times.svg", as_svg(percentiles()));
  if (!good) std::printf("cannot write to %s\n", folder.c_str());
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string const what = argc > 1 ? argv[1] : "";
  if (what.empty()) return count_frames();
  if (what == "--play") return play();
  if (what == "--times") return print_times();
  if (what == "--frames" && argc > 2) return draw(argv[2], false);
  return draw(what, true);
}
