// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc_top: the pools of a running program, live in a terminal. It reads the Prometheus page of the program, so
// the program may also be one that Prometheus scrapes.
//
//   fastalloc_top 9464                 the program that serves http://localhost:9464/metrics
//   fastalloc_top page.prom            a page in a file, "-" for the standard input
//   fastalloc_top 9464 --once          one frame, without colours and cursor movement: for logs
//   fastalloc_top 9464 --frames 10 --every 0.5
#include "page_server.hpp"
#include "prometheus_page.hpp"
#include "screen.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>

namespace {

int usage() {
  std::fputs("usage: fastalloc_top PORT|FILE|- [--once] [--frames N] [--every SECONDS]\n", stderr);
  return 2;
}

std::string read(std::string const& from, std::string& problem) {
  if (from.find_first_not_of("0123456789") == std::string::npos) {
    unsigned long const port = std::strtoul(from.c_str(), nullptr, 10);
    std::string page = port <= 65535 ? monitor::PageServer::fetch(static_cast<std::uint16_t>(port)) : "";
    if (page.empty()) problem = "no program serves http://localhost:" + from + "/metrics, or it has no registered pool";
    return page;
  }
  std::ifstream file;
  if (from != "-") {
    file.open(from, std::ios::binary);
    if (!file) return problem = "cannot read the file " + from, "";
  }
  return {std::istreambuf_iterator<char>(from == "-" ? std::cin : file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  std::string from;
  bool once = false;
  long frames = -1;
  double every = 1;
  for (int i = 1; i < argc; ++i) {
    std::string_view const word = argv[i];
    bool const has_value = i + 1 < argc;
    if (word == "--once") once = true;
    else if (word == "--frames" && has_value) frames = std::strtol(argv[++i], nullptr, 10);
    else if (word == "--every" && has_value) every = std::strtod(argv[++i], nullptr);
    else if (from.empty() && (word == "-" || !word.starts_with('-'))) from = word;
    else return usage();
  }
  if (from.empty() || !(every > 0)) return usage();
  if (once || from == "-") frames = 1;

  monitor::Screen screen(!once && ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr);
  using Clock = std::chrono::steady_clock;
  Clock::time_point last{};
  for (long frame = 0; frame != frames; ++frame) {
    if (frame != 0) std::this_thread::sleep_for(std::chrono::duration<double>(every));
    std::string problem;
    monitor::Page const page = monitor::PageReader::read(read(from, problem));
    if (problem.empty()) problem = page.error;
    if (!problem.empty()) {
      std::fprintf(stderr, "fastalloc_top: %s\n", problem.c_str());
      return 1;
    }
    Clock::time_point const now = Clock::now();
    double const seconds = frame == 0 ? 0 : std::chrono::duration<double>(now - last).count();
    last = now;
    std::string text = screen.draw(page, seconds);
    if (!once) {  // to the top left; clear each line's rest, and what is below
      for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 4) text.insert(at, "\x1b[K");
      text = (frame == 0 ? "\x1b[2J\x1b[H" : "\x1b[H") + text + "\x1b[J";
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  return 0;
}
