// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-pictures NAME RESULTS.json PICTURE.svg
//
// Draws the picture NAME (pictures.hpp) from what a benchmark program wrote with --json.
#include "pictures.hpp"

#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>

namespace bench {
namespace {

std::map<std::string, Draw> const pictures{
    {"headline", draw_headline},     {"single_thread", draw_single_thread},
    {"threads", draw_threads},       {"many", draw_many},
    {"containers", draw_containers}, {"ownership", draw_ownership},
    {"build_cost", draw_build_cost}, {"latency", draw_latency},
};

void run(Strings const& arguments) {
  std::string names;
  for (auto const& [name, draw] : pictures) names += ' ' + name;
  if (arguments.size() != 3)
    throw std::runtime_error("usage: fastalloc-pictures NAME RESULTS.json PICTURE.svg; names:" + names);
  auto const found = pictures.find(arguments[0]);
  if (found == pictures.end()) throw std::runtime_error("no picture '" + arguments[0] + "'; there are" + names);
  std::ifstream in(arguments[1]);
  if (!in) throw std::runtime_error("cannot read " + arguments[1]);
  Results results;
  std::string const machine = read_json(in, results);
  if (results.columns().empty()) throw std::runtime_error(arguments[1] + " has no results");
  std::ofstream out(arguments[2], std::ios::binary);
  found->second(out, results, machine);
  if (!out.flush()) throw std::runtime_error("cannot write " + arguments[2]);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    bench::run(bench::Strings(argv + 1, argv + argc));
  } catch (std::exception const& error) {
    std::cerr << "fastalloc-pictures: " << error.what() << '\n';
    return 2;
  }
}
