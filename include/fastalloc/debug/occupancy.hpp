// SPDX-License-Identifier: MIT OR Apache-2.0
// occupancy_svg(pool): a picture of which slots are in use, free, or were never used, block by block.
//
//   std::ofstream("particles.svg") << fastalloc::occupancy_svg(particles);
//
// One square a slot, 64 in a row, in the order of addresses. In large pools a square stands for several slots, and is
// filled from below by their states. The picture is 830 units wide and follows the reader's light or dark theme, with a
// background of its own, since a page may be light where the system is dark.
#pragma once

#include <fastalloc/debug/text.hpp>
#include <fastalloc/pool/basic_pool.hpp>
#include <fastalloc/pool/thread_local_pool.hpp>
#include <fastalloc/stats/report.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The slots of one block, at one time.
struct BlockView {
  std::byte const* data = nullptr;
  std::size_t stride = 0;
  std::size_t slot_count = 0;
  std::size_t high_water = 0;  ///< slots that were handed out at least once; they come first
  std::size_t first = 0;       ///< index of the first slot
  std::size_t live = 0;
};
struct PoolView {
  std::string name;
  std::string_view type_name;
  std::vector<BlockView> blocks;         ///< in the order of their addresses
  std::vector<std::byte const*> in_use;  ///< slots, in the order of their addresses
};

/// Reads a pool without its users' help.
struct DebugAccess {
  template <class Derived, class T, class Kind, class... Ps>
  static PoolView view(PoolObjects<Derived, T, Kind, Ps...>& pool) {
    PoolView out;
    out.name = pool.pool_name();
    out.type_name = pool.type.name;
    auto& core = pool.core_;
    // A user's operator new must not run under the lock.
    std::size_t wanted = 0;
    do {
      out.blocks.reserve(wanted);
      out.blocks.clear();
      core.locked_for_all([&] {
        wanted = 0;
        core.for_each_block([&](auto const& block) {
          if (++wanted > out.blocks.capacity()) return;
          out.blocks.push_back({block.data, core.stride(), block.slot_count, block.high_water, block.first, 0});
        });
      });
    } while (wanted > out.blocks.capacity());
    std::size_t const missing =
        core.visit([](std::byte*) { return true; }, [&](std::byte* slot) { return out.in_use.push_back(slot), true; });
    if (missing != 0) {
      Error error = core.describe(ErrorCode::allocation_failed, "no memory for the snapshot of a pool", missing);
      error.unit = "bytes";
      pool.fail_typed(error);
    }
    return out;
  }
  template <class T, class... Ps> static PoolView view(ThreadLocalPool<T, Ps...>& pool) {
    PoolView out;
    pool.ask(0, [&](auto& sub) { return out = view(sub), 0; });
    out.name = pool.name();
    out.type_name = fastalloc::detail::type_name<T>();
    return out;
  }
};

class OccupancyPicture {
 public:
  explicit OccupancyPicture(PoolView& view) : view_(view) {}

  std::string draw() {
    count();
    std::size_t rows = 0;
    for (std::size_t const limit = max_rows; (rows = all_rows()) > limit && slots_a_square_ < capacity_;)
      slots_a_square_ = next_scale(slots_a_square_);
    double y = 78;
    std::size_t shown = 0;
    for (BlockView const& block : view_.blocks) {
      if (shown == max_blocks) break;
      ++shown;
      draw_block(block, shown, y);
    }
    if (shown != view_.blocks.size())
      text(10, y += 14, "", "and " + decimal(view_.blocks.size() - shown) + " more blocks"), y += 8;
    if (view_.blocks.empty()) text(10, y += 6, "", "no block yet: the first allocation opens the pool"), y += 8;
    return head(y + 6) + body_ + "</g>\n</svg>\n";
  }

 private:
  enum State { live, returned, untouched, states };
  static constexpr std::size_t columns = 64;
  static constexpr std::size_t max_rows = 72;    ///< of all blocks
  static constexpr std::size_t max_blocks = 36;  ///< drawn
  static constexpr double left = 76, pitch = 11.7, square = 10.5;

  /// 1, 2, 5, 10, 20, ...
  static std::size_t next_scale(std::size_t scale) noexcept {
    std::size_t first = scale;
    while (first >= 10) first /= 10;
    return first == 2 ? scale / 2 * 5 : scale * 2;
  }
  [[nodiscard]] std::size_t squares(BlockView const& block) const noexcept {
    return block.slot_count / slots_a_square_ + (block.slot_count % slots_a_square_ != 0);
  }
  [[nodiscard]] std::size_t all_rows() const noexcept {
    std::size_t rows = 0;
    std::size_t shown = 0;
    for (BlockView const& block : view_.blocks)
      if (++shown <= max_blocks) rows += (squares(block) + columns - 1) / columns;
    return rows;
  }

  /// Other threads may have changed the pool since its blocks were read: slots of other blocks do not count.
  void count() noexcept {
    std::size_t slot = 0;
    for (BlockView& block : view_.blocks) {
      while (slot != view_.in_use.size() && view_.in_use[slot] < block.data) ++slot;
      while (slot != view_.in_use.size() && place(block, slot) < block.slot_count) {
        if (place(block, slot) >= block.high_water) block.high_water = place(block, slot) + 1;
        ++block.live, ++slot;
      }
      live_ += block.live;
      handed_ += block.high_water;
      capacity_ += block.slot_count;
    }
  }
  [[nodiscard]] std::size_t place(BlockView const& block, std::size_t slot) const noexcept {
    return static_cast<std::size_t>(view_.in_use[slot] - block.data) / block.stride;
  }

  static std::string number(double value) {
    std::string out = decimal(value);
    while (out.back() == '0') out.pop_back();
    if (out.back() == '.') out.pop_back();
    return out;
  }
  void text(double x, double y, std::string_view kind, std::string_view words) {
    append(body_, "<text x=\"", number(x), "\" y=\"", number(y), "\"", kind, ">", xml_text(words), "</text>\n");
  }
  static void add_square(std::string& path, double x, double y, double height) {
    append(path, "M", number(x), " ", number(y), "h", number(square), "v", number(height), "h-", number(square), "z");
  }
  static std::string bytes(std::size_t value) {
    static constexpr std::string_view units[] = {" bytes", " KiB", " MiB", " GiB", " TiB"};
    double scaled = static_cast<double>(value);
    std::size_t unit = 0;
    while (scaled >= 1024 && unit + 1 != std::size(units)) scaled /= 1024, ++unit;
    std::string digits = decimal(scaled);               // three decimals
    digits.erase(digits.size() - (unit == 0 ? 4 : 2));  // resize() makes g++ 12 warn of a fill at -O3
    return digits += units[unit];
  }
  static std::string grouped(std::size_t value) {
    std::string digits = decimal(value);
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
    return digits;
  }

  void draw_block(BlockView const& block, std::size_t number_of_block, double& y) {
    std::string line = "Block " + decimal(number_of_block) + " of " + decimal(view_.blocks.size());
    append(line, ": slots ", grouped(block.first), " to ", grouped(block.first + block.slot_count - 1), ", ",
           bytes(block.slot_count * block.stride), ", ", grouped(block.live), " in use");
    text(left, y += 14, " class=\"fa-block\"", line);
    y += 6;
    std::size_t const count = squares(block);
    std::string paths[states];
    std::size_t slot = 0;
    while (slot != view_.in_use.size() && view_.in_use[slot] < block.data) ++slot;
    for (std::size_t i = 0; i != count; ++i) {
      std::size_t const from = i * slots_a_square_;
      std::size_t const to = block.slot_count - from < slots_a_square_ ? block.slot_count : from + slots_a_square_;
      std::size_t parts[states] = {};
      for (; slot != view_.in_use.size() && place(block, slot) < to && view_.in_use[slot] >= block.data; ++slot)
        ++parts[live];
      std::size_t const high_water = block.high_water < from ? from : block.high_water < to ? block.high_water : to;
      parts[returned] = high_water - from - parts[live];
      parts[untouched] = to - high_water;
      double const x = left + static_cast<double>(i % columns) * pitch;
      double const top = y + static_cast<double>(i / columns) * pitch;
      if (i % columns == 0) text(left - 8, top + 9, " class=\"fa-axis\"", grouped(block.first + from));
      double bottom = top + square;
      for (int state = 0; state != states; ++state) {
        if (parts[state] == 0) continue;
        double const height = square * static_cast<double>(parts[state]) / static_cast<double>(to - from);
        bottom -= height;
        add_square(paths[state], x, bottom, height);
      }
    }
    static constexpr std::string_view classes[] = {"fa-live", "fa-free", "fa-new"};
    for (int state = 0; state != states; ++state)
      if (!paths[state].empty()) append(body_, "<path class=\"", classes[state], "\" d=\"", paths[state], "\"/>\n");
    y += static_cast<double>((count + columns - 1) / columns) * pitch + 4;
  }

  [[nodiscard]] std::string head(double height) const {
    std::string title = view_.name.empty() ? "pool of " + std::string(view_.type_name) : view_.name;
    std::string out;
    append(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"830\" height=\"", number(height),
           "\" viewBox=\"0 0 830 ", number(height), "\" role=\"img\">\n<title>Slots of ", xml_text(title),
           "</title>\n<style>\n"
           ".fa-text{font:12px sans-serif;fill:#1f2328}.fa-text .fa-title{font-weight:bold;font-size:15px}\n"
           ".fa-text .fa-axis{font-size:10px;text-anchor:end;fill:#59636e}.fa-text .fa-block{font-size:11px}\n"
           ".fa-paper{fill:#ffffff}.fa-live{fill:#0969da}.fa-free{fill:#a5cdf7}.fa-new{fill:#d1d9e0;fill-opacity:.55}\n"
           "@media (prefers-color-scheme:dark){.fa-paper{fill:#0d1117}.fa-text{fill:#e6edf3}.fa-text "
           ".fa-axis{fill:#9198a1}\n"
           ".fa-live{fill:#58a6ff}.fa-free{fill:#214b7d}.fa-new{fill:#3d444d;fill-opacity:.55}}\n"
           "</style>\n<rect class=\"fa-paper\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n<g class=\"fa-text\">\n<text "
           "x=\"10\" y=\"20\" class=\"fa-title\">",
           xml_text(title), "</text>\n<text x=\"10\" y=\"38\">");
    std::string line = grouped(capacity_);
    append(line, capacity_ == 1 ? " slot of type " : " slots of type ", view_.type_name, " in ",
           grouped(view_.blocks.size()), view_.blocks.size() == 1 ? " block" : " blocks");
    if (!view_.blocks.empty()) append(line, ", ", bytes(view_.blocks[0].stride), " each");
    append(line, slots_a_square_ == 1 ? ". A square is a slot." : ". A square is ",
           slots_a_square_ == 1 ? "" : grouped(slots_a_square_) + " slots, filled from below.");
    append(out, xml_text(line), "</text>\n");
    legend(out);
    append(out, "<text x=\"68\" y=\"82\" class=\"fa-axis\">slot</text>\n");
    return out;
  }
  void legend(std::string& out) const {
    struct Entry {
      std::string_view kind, words;
      std::size_t count;
    } const entries[] = {{"fa-live", "in use: ", live_},
                         {"fa-free", "free, was in use before: ", handed_ - live_},
                         {"fa-new", "never used yet: ", capacity_ - handed_}};
    double x = 10;
    for (Entry const& entry : entries) {
      std::string const words = std::string(entry.words) + grouped(entry.count);
      append(out, "<rect class=\"", entry.kind, "\" x=\"", number(x), "\" y=\"50\" width=\"12\" height=\"12\"/>\n",
             "<text x=\"", number(x + 18), "\" y=\"60\">", words, "</text>\n");
      x += 40 + 7 * static_cast<double>(words.size());
    }
  }

  PoolView& view_;
  std::string body_;
  std::size_t slots_a_square_ = 1;
  std::size_t live_ = 0;
  std::size_t handed_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// Returns: an SVG picture of the pool's slots, in UTF-8. Of a ThreadLocalPool: those of the calling thread. Slots
/// that only a WeakHandle or a reserved key keeps are in use; slots in the caches of threads are free. Draws the first
/// 36 blocks.
/// Throws: std::bad_alloc; AllocationFailed if there is no memory for the snapshot that for_each() needs.
/// Complexity: that of for_each(), and linear in the squares. No lock is held while it draws.
/// Thread safety: as for_each(); what other threads change meanwhile may or may not be in the picture.
template <class Pool> [[nodiscard]] std::string occupancy_svg(Pool const& pool) {
  // visit() changes nothing that can be seen, as in for_each() of a const pool
  auto view = detail::DebugAccess::view(const_cast<Pool&>(pool));
  return detail::OccupancyPicture(view).draw();
}

}  // namespace fastalloc::inline FASTALLOC_MODE
