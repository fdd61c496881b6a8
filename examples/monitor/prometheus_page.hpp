// SPDX-License-Identifier: MIT OR Apache-2.0
// A strict reader of Prometheus' text format (version 0.0.4), as PoolRegistry::to_prometheus() writes it. Strict: each
// metric has one HELP and one TYPE line before its samples, its lines stand together, no sample comes twice, counters
// are called ..._total, and whatever the grammar does not allow is an error with the number of its line.
#pragma once

#include <charconv>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace monitor {

using Labels = std::map<std::string, std::string>;

struct Sample {
  Labels labels;
  double value = 0;
};
struct Metric {
  std::string name, type, help;
  std::vector<Sample> samples;
};
struct Page {
  std::vector<Metric> metrics;
  std::string error;  ///< empty if the page is right

  [[nodiscard]] Metric const* find(std::string_view name) const {
    for (Metric const& metric : metrics)
      if (metric.name == name) return &metric;
    return nullptr;
  }
};

class PageReader {
 public:
  static Page read(std::string_view text) {
    PageReader reader{text};
    reader.run();
    return std::move(reader.page_);
  }

 private:
  explicit PageReader(std::string_view text) : rest_(text) {}

  void run() {
    if (!rest_.empty() && rest_.back() != '\n') return fail("the last line has no end");
    while (!rest_.empty() && page_.error.empty()) {
      ++number_;
      line_ = rest_.substr(0, rest_.find('\n'));
      rest_.remove_prefix(line_.size() + 1);
      if (line_.empty()) fail("an empty line");
      else if (line_.starts_with("# ")) comment();
      else sample();
    }
    if (page_.error.empty() && !page_.metrics.empty()) finish(page_.metrics.back());
  }

  void fail(std::string const& why) {
    if (page_.error.empty()) page_.error = "line " + std::to_string(number_) + ": " + why;
  }
  bool pop(std::string_view text) {
    if (!line_.starts_with(text)) return false;
    return line_.remove_prefix(text.size()), true;
  }
  /// [a-zA-Z_:][a-zA-Z0-9_:]*, of labels without the colon
  std::string name(bool colon) {
    std::size_t size = 0;
    auto const fits = [&](char c) {
      bool const letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
      return letter || (size != 0 && c >= '0' && c <= '9');
    };
    while (size != line_.size() && fits(line_[size])) ++size;
    std::string const found(line_.substr(0, size));
    line_.remove_prefix(size);
    if (found.empty()) fail("a name is missing");
    return found;
  }
  void finish(Metric const& metric) {
    if (metric.type.empty()) return fail(metric.name + " has no TYPE");
    if (metric.samples.empty()) return fail(metric.name + " has no sample");
  }

  void comment() {
    bool const is_help = line_.starts_with("# HELP ");
    if (!pop("# HELP ") && !pop("# TYPE ")) return fail("a comment that is neither HELP nor TYPE");
    std::string const metric = name(true);
    if (!pop(" ")) return fail("no blank behind the name");
    if (is_help) {
      if (page_.find(metric) != nullptr) return fail("a second HELP for " + metric);
      if (!page_.metrics.empty()) finish(page_.metrics.back());
      for (std::size_t i = 0; i != line_.size(); ++i)
        if (line_[i] == '\\' && (++i == line_.size() || (line_[i] != '\\' && line_[i] != 'n')))
          return fail("an escape that HELP does not know");
      page_.metrics.push_back({metric, "", std::string(line_), {}});
      return;
    }
    if (page_.metrics.empty() || page_.metrics.back().name != metric) return fail("TYPE without HELP before it");
    Metric& here = page_.metrics.back();
    if (!here.type.empty() || !here.samples.empty()) return fail("TYPE comes twice, or behind a sample");
    if (line_ != "counter" && line_ != "gauge") return fail("a type that is neither counter nor gauge");
    here.type = line_;
    if ((here.type == "counter") != metric.ends_with("_total")) fail("counters, and only they, end in _total");
  }

  void sample() {
    std::string const metric = name(true);
    if (page_.metrics.empty() || page_.metrics.back().name != metric)
      return fail("a sample of " + metric + " apart from its TYPE");
    Metric& here = page_.metrics.back();
    if (here.type.empty()) return fail("a sample before its TYPE");
    Sample sample;
    if (pop("{")) {
      do {
        std::string const label = name(false);
        if (!pop("=\"")) return fail("no value in quotes behind the label " + label);
        std::string value;
        while (!pop("\"")) {
          if (line_.empty()) return fail("a label without its closing quote");
          if (pop("\\\\")) value += '\\';
          else if (pop("\\\"")) value += '"';
          else if (pop("\\n")) value += '\n';
          else if (line_[0] == '\\') return fail("an escape that labels do not know");
          else value += line_[0], line_.remove_prefix(1);
        }
        if (!sample.labels.emplace(label, value).second) return fail("the label " + label + " twice");
      } while (pop(","));
      if (!pop("}")) return fail("no } behind the labels");
    }
    if (!pop(" ")) return fail("no blank before the value");
    if (pop("+Inf") || pop("-Inf") || pop("NaN")) return fail("a value that is no number");
    auto const end = std::from_chars(line_.data(), line_.data() + line_.size(), sample.value);
    if (line_.empty() || end.ec != std::errc() || end.ptr != line_.data() + line_.size())
      return fail("a value that is no number");
    if (here.type == "counter" && sample.value < 0) return fail("a counter below 0");
    if (!seen_.emplace(metric, sample.labels).second) return fail("the same sample twice");
    here.samples.push_back(std::move(sample));
  }

  std::string_view rest_, line_;
  std::size_t number_ = 0;
  std::set<std::pair<std::string, Labels>> seen_;
  Page page_;
};

}  // namespace monitor
