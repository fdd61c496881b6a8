// SPDX-License-Identifier: MIT OR Apache-2.0
// The findings as one HTML page with pictures: no scripts, no files beside it, in light and dark.
#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace fastalloc::trace {
namespace {

constexpr std::size_t sizes_shown = 16;
constexpr double width = 830;

constexpr char const* head = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Replayed allocations</title>
<style>
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--ours:#0969da;--other:#8c959f;--page:Canvas}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--ours:#58a6ff;--other:#6e7681}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:830px;margin:2em auto;padding:0 1em}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}p{color:var(--soft)}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.2em .5em;border-bottom:1px solid var(--line)}
th{font-weight:normal;color:var(--soft)}td:first-child,th:first-child{text-align:left}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
.soft{fill:var(--soft)!important}.ours{fill:var(--ours)}.other{fill:var(--other)}.end{text-anchor:end}
.axis{stroke:var(--line)}.curve{fill:var(--ours);fill-opacity:.25;stroke:var(--ours)}
</style></head><body>
)html";

std::string escaped(std::string const& text) {
  std::string out;
  for (char const c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) out += '?';
    else out += c;
  }
  return out;
}

std::string number(double value, int digits = 1) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string bytes(double value) {
  static constexpr char const* units[] = {" bytes", " KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 != std::size(units)) value /= 1024, ++unit;
  return number(value, unit == 0 ? 0 : 1) + units[unit];
}

struct Bar {
  std::string name;
  double value;
  std::string words;
  bool is_ours;
};
/// Horizontal bars; shorter is better.
std::string bars(std::string const& title, std::vector<Bar> const& all) {
  constexpr double left = 170, right = 130;
  double most = 0;
  for (Bar const& bar : all) most = std::max(most, bar.value);
  std::string out = "<svg viewBox=\"0 0 830 " + number(24 * static_cast<double>(all.size()) + 4, 0) +
                    "\" role=\"img\" aria-label=\"" + escaped(title) + "\">\n";
  double y = 2;
  for (Bar const& bar : all) {
    double const length = most > 0 ? bar.value / most * (width - left - right) : 0;
    out += "<text class=\"end\" x=\"" + number(left - 8) + "\" y=\"" + number(y + 14) + "\">" + escaped(bar.name) +
           "</text><rect class=\"" + (bar.is_ours ? "ours" : "other") + "\" x=\"" + number(left) + "\" y=\"" +
           number(y) + "\" width=\"" + number(length) + "\" height=\"18\"/><text x=\"" + number(left + length + 6) +
           "\" y=\"" + number(y + 14) + "\">" + escaped(bar.words) + "</text>\n";
    y += 24;
  }
  return out + "</svg>\n";
}

/// The requested bytes that are live after each step, at most `points` values, each the greatest of its part.
std::vector<double> live_bytes(Script const& script, std::size_t points) {
  std::vector<std::uint64_t> sizes(script.places, 0);
  std::vector<double> curve(std::min(points, script.timed), 0);
  std::uint64_t live = 0;
  for (std::size_t i = 0; i != script.timed; ++i) {
    Step const& step = script.steps[i];
    live -= std::exchange(sizes[step.place], step.size);  // a free has the size 0, and a new place held none
    live += step.size;
    double& at = curve[i * curve.size() / script.timed];
    at = std::max(at, static_cast<double>(live));
  }
  return curve;
}

std::string curve(Script const& script) {
  constexpr double left = 80, top = 10, height = 160;
  std::vector<double> const values = live_bytes(script, 500);
  double const most = static_cast<double>(script.peak_bytes);
  auto const y = [&](double value) { return number(top + height - (most > 0 ? value / most * height : 0)); };
  double const step = (width - left - 10) / static_cast<double>(std::max<std::size_t>(values.size(), 1));
  std::string path = "M" + number(left) + " " + y(0);
  for (std::size_t i = 0; i != values.size(); ++i)
    path += "L" + number(left + step * static_cast<double>(i)) + " " + y(values[i]) + "h" + number(step, 2);
  path += "V" + y(0) + "z";
  std::string out = "<svg viewBox=\"0 0 830 205\" role=\"img\" aria-label=\"Live bytes over the calls\">\n";
  for (double const part : {0.0, 0.5, 1.0})
    out += "<line class=\"axis\" x1=\"" + number(left) + "\" x2=\"820\" y1=\"" + y(part * most) + "\" y2=\"" +
           y(part * most) + "\"/><text class=\"soft end\" x=\"" + number(left - 6) + "\" y=\"" +
           number(top + height * (1 - part) + 4) + "\">" + bytes(part * most) + "</text>\n";
  return out + "<path class=\"curve\" d=\"" + path + "\"/>\n<text class=\"soft\" x=\"" + number(left) +
         "\" y=\"198\">first call</text><text class=\"soft end\" x=\"820\" y=\"198\">call " + grouped(script.timed) +
         "</text>\n</svg>\n";
}

template <class Figure, class Words>
std::string sides(std::string const& title, Figure const (&figures)[measured_sides], Words const& words) {
  static constexpr char const* names[measured_sides] = {"malloc", "fastalloc pools", "fastalloc PoolResource",
                                                        "std::pmr pool"};
  std::vector<Bar> all;
  for (std::size_t const side : {1U, 2U, 0U, 3U}) {  // ours on top
    double const value = static_cast<double>(figures[side]);
    std::string text = words(value);
    if (side != 0 && value > 0) text += " (" + number(static_cast<double>(figures[0]) / value, 2) + "x)";
    all.push_back({names[side], value, text, side == 1 || side == 2});
  }
  return "<h2>" + title + "</h2>\n" + bars(title, all);
}

std::string sizes_table(std::vector<SizeRow> const& sizes) {
  std::string out =
      "<h2>Sizes that gain most from pools</h2>\n<p>Each size measured alone, warm. Saved: malloc's time "
      "less that of the pools, over all operations.</p>\n<table><tr><th>object bytes</th><th>operations"
      "</th><th>live peak</th><th>malloc, ns</th><th>pool, ns</th><th>ratio</th><th>saved, µs</th></tr>\n";
  std::size_t shown = 0;
  for (SizeRow const& row : sizes) {
    if (shown++ == sizes_shown) break;
    double const malloc = row.costs.of(SideName::malloc), pools = row.costs.of(SideName::pools);
    out += "<tr><td>" + (row.size_class == beyond ? "beyond" : grouped(class_bytes(row.size_class))) + "</td><td>" +
           grouped(row.operations) + "</td><td>" + grouped(row.peak_objects) + "</td><td>" + number(malloc) +
           "</td><td>" + number(pools) + "</td><td>" + number(pools > 0 ? malloc / pools : 0, 2) + "x</td><td>" +
           number(row.saved_ns() / 1000) + "</td></tr>\n";
  }
  out += "</table>\n";
  if (sizes.size() > sizes_shown)
    out += "<p>" + std::to_string(sizes.size() - sizes_shown) + " more sizes: --csv prints them all.</p>\n";
  return out;
}

}  // namespace

std::string html_head() { return head; }
std::string html_foot() { return "</body></html>\n"; }

std::string html_report(Trace const& trace, Script const& script, Findings const& findings, unsigned repetitions) {
  std::string out = "<h1>" + escaped(trace.program()) + "</h1>\n<p>" + escaped(trace.file()) + ": " +
                    grouped(trace.events()) + " calls in " + grouped(trace.threads()) +
                    (trace.threads() == 1 ? " thread; " : " threads, replayed by one; ") + grouped(script.timed) +
                    " operations, live peak " + grouped(script.peak_objects) + " objects, " +
                    bytes(static_cast<double>(script.peak_bytes)) + ".";
  if (trace.ending() == Ending::none) out += " The program was killed, was replaced by another one, or still runs.";
  if (trace.ending() == Ending::stopped) out += " The recorder stopped before the program did.";
  out += "</p>\n";
  if (script.timed == 0) return out + "<p>There is nothing to replay.</p>\n";
  auto const time = [](double value) { return number(value) + " ns"; };
  out += sides("Nanoseconds per operation, warm", findings.costs.warm, time);
  out += sides("Nanoseconds per operation, fresh process", findings.costs.fresh, time);
  out += sides("Peak memory", findings.memory, [](double value) { return bytes(value); });
  out += "<p>Shorter is better. In brackets: malloc's figure divided by this one; above 1, it is better than malloc. "
         "The replay loop itself takes " +
         number(findings.costs.nothing) + " ns per operation, and is part of all times.</p>\n";
  out += "<h2>Live bytes over the calls</h2>\n" + curve(script) + sizes_table(findings.sizes);
  out += "<p>Medians of " + std::to_string(repetitions) + (repetitions == 1 ? " repetition." : " repetitions.");
#ifndef NDEBUG
  out += " Built without NDEBUG: the pools check every free, and the times say little about a release build.";
#endif
  return out + "</p>\n";
}

}  // namespace fastalloc::trace
