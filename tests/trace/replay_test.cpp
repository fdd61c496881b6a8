// SPDX-License-Identifier: MIT OR Apache-2.0
// fastalloc-replay from its command line: what it prints, and its exit codes. Counts are checked, times never.
#include "support.hpp"

#include <script.hpp>

#include <support/catch.hpp>

#include <sstream>

using namespace trace_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

Outcome replay(Folder const& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), REPLAY);
  return run(folder, std::move(arguments));
}

std::vector<std::string> split(std::string const& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    parts.push_back(part);
  }
  return parts;
}

// How the line of the shipped trace for one size begins.
std::string row_start(std::string const& size, Script const& script) {
  std::ostringstream text;
  text << '"' << SHIPPED_TRACE << "\"," << size << ',' << script.timed << ',' << script.peak_objects << ','
       << script.peak_bytes << ',';
  return text.str();
}

// Objects of many sizes: some die, some change their class, some are too large or too aligned for a pool.
Builder small_program() {
  Builder builder;
  for (std::uint64_t i = 0; i != 2'000; ++i) {
    builder.add(i % 3 == 0 ? Kind::allocate_zeroed : Kind::allocate, i * 37 % 40'000);
    if (i % 5 == 0) {
      builder.add(Kind::reallocate, i * 91 % 3'000, 0);
    }
    if (i % 7 == 0) {
      builder.add(Kind::allocate_aligned, i, i % 13);
    }
    if (i % 2 == 0) {
      builder.add(Kind::free, 0);
    }
  }
  return builder;
}

}  // namespace

TEST_CASE("the shipped trace is replayed, and the table has its counts") {
  Folder const folder;
  Outcome const outcome = replay(folder, {"--repeat", "1", SHIPPED_TRACE});
  CAPTURE(outcome.errors);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.output, StartsWith(SHIPPED_TRACE ": clang-format, process "));
  // Read off the recording once, independently of the code that counts here.
  CHECK_THAT(
      outcome.output,
      ContainsSubstring(
          "operations      204,631: allocate 102,155 (zeroed 207, over-aligned 0), reallocate 324, free 102,152\n"));
  CHECK_THAT(outcome.output, ContainsSubstring("live peak       15,513 objects, 4,996,470 bytes\n"));
  CHECK_THAT(outcome.output, ContainsSubstring("ns per operation, warm"));
  CHECK_THAT(outcome.output, ContainsSubstring("peak memory, KiB"));
  CHECK_THAT(outcome.output, ContainsSubstring("Which sizes gain most"));
}

TEST_CASE("the page of the shipped trace has its counts, and every element ends") {
  Folder const folder;
  Outcome const outcome = replay(folder, {"--html", "--repeat", "1", SHIPPED_TRACE});
  REQUIRE(outcome.code == 0);
  std::string const& page = outcome.output;
  CHECK_THAT(page, StartsWith("<!DOCTYPE html>\n"));
  CHECK_THAT(page, ContainsSubstring("204,631 operations, live peak 15,513 objects, 4.8 MiB"));
  CHECK_THAT(page, ContainsSubstring("prefers-color-scheme:dark"));
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("nan") == std::string::npos);
  auto const count = [&](std::string const& what) {
    std::size_t n = 0;
    for (std::size_t at = 0; (at = page.find(what, at)) != std::string::npos; at += what.size()) ++n;
    return n;
  };
  for (std::string const tag : {"html", "head", "body", "svg", "text", "table", "tr", "h2", "p"}) {
    CAPTURE(tag);
    CHECK(count("<" + tag + ">") + count("<" + tag + " ") == count("</" + tag + ">"));
  }
  CHECK(count("<svg ") == 4);
  CHECK(count("<rect ") == 12);
  CHECK(replay(folder, {"--html", "--csv", SHIPPED_TRACE}).code == 2);
}

TEST_CASE("the CSV of the shipped trace has its counts, in all and for each size") {
  Folder const folder;
  Outcome const outcome = replay(folder, {"--csv", "--repeat=1", SHIPPED_TRACE});
  REQUIRE(outcome.code == 0);
  Script const script = make_script(Trace(SHIPPED_TRACE));
  auto const lines = split(outcome.output, '\n');
  REQUIRE(lines.size() > 2);
  auto const columns = split(lines[0], ',').size();
  CHECK_THAT(lines[1], StartsWith(row_start("all", script)));
  std::size_t rows = 0;
  for (std::size_t size_class = 0; size_class != beyond; ++size_class) {
    if (script.uses(size_class)) {
      ++rows;
      std::string const row = row_start(std::to_string(class_bytes(size_class)), part_of(script, size_class));
      CHECK_THAT(outcome.output, ContainsSubstring(row));
    }
  }
  CHECK(lines.size() == 2 + rows);
  for (std::string const& line : lines) {
    CHECK(split(line + ",.", ',').size() == columns + 1);
  }
}

TEST_CASE("every kind of call is replayed on both sides") {
  Folder const folder;
  save(folder / "built.trace", small_program().finish());
  Outcome const outcome = replay(folder, {"--repeat", "2", "built.trace"});
  CAPTURE(outcome.errors);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, StartsWith("built.trace: built, process 42, 3,686 calls in 1 thread"));
  CHECK_THAT(outcome.output,
             ContainsSubstring(
                 "operations      3,686: allocate 2,286 (zeroed 667, over-aligned 176), reallocate 400, free 1,000\n"));
}

TEST_CASE("what the header says about the recording is printed") {
  Folder const folder;
  Builder builder;
  builder.add(Kind::allocate, 1).add(Kind::thread, 1).add(Kind::free, 0);
  save(folder / "stopped.trace", builder.finish(Ending::stopped));
  save(folder / "killed.trace", builder.finish(Ending::none));
  save(folder / "empty.trace", Builder().finish());
  Outcome const outcome = replay(folder, {"--repeat", "1", "stopped.trace", "killed.trace", "empty.trace"});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, ContainsSubstring("stopped.trace: built, process 42, 2 calls in 2 threads"));
  CHECK_THAT(outcome.output,
             ContainsSubstring("calls of all threads are replayed in their recorded order by one thread"));
  CHECK_THAT(outcome.output, ContainsSubstring("The recorder stopped before the program did"));
  CHECK_THAT(outcome.output, ContainsSubstring("The program was killed"));
  CHECK_THAT(outcome.output, ContainsSubstring("There is nothing to replay."));
}

TEST_CASE("bad files give exit code 2, and the others are replayed") {
  Folder const folder;
  save(folder / "good.trace", Builder().add(Kind::allocate, 1).finish());
  save(folder / "empty", {});
  save(folder / "foreign", Bytes(1'000, 'f'));
  Bytes cut = small_program().finish();
  cut.resize(1'000);
  save(folder / "cut", cut);
  save(folder / "double", Builder().add(Kind::allocate, 1).add(Kind::free, 0).add(Kind::free, 0).finish());
  for (auto const& [file, message] : {std::pair<std::string, std::string>{"empty", "empty: byte 0: the file is empty"},
                                      {"foreign", "foreign: byte 0: this is no fastalloc trace"},
                                      {"cut", "cut: byte 1000: the file is cut off here"},
                                      {"double", "double: byte 66: frees object 0, which was freed before"},
                                      {"missing", "missing: there is no such file"},
                                      {".", ".: this is a folder or a device"}}) {
    CAPTURE(file);
    Outcome const outcome = replay(folder, {"--repeat", "1", file, "good.trace"});
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.errors, StartsWith("fastalloc-replay: " + message));
    CHECK_THAT(outcome.output, ContainsSubstring("good.trace: built"));
  }
}

TEST_CASE("wrong usage gives the usage and exit code 2") {
  Folder const folder;
  for (auto const& [arguments, message] :
       {std::pair<std::vector<std::string>, std::string>{{}, "name at least one trace file"},
        {{"--csv"}, "name at least one trace file"},
        {{"--fast", "x"}, "unknown option --fast"},
        {{"--repeat", "0", "x"}, "--repeat takes a number from 1 to 1000, not \"0\""},
        {{"--repeat", "1001", "x"}, "not \"1001\""},
        {{"--repeat", "99999999999999999999", "x"}, "not \"99999999999999999999\""},
        {{"--repeat=3x", "x"}, "not \"3x\""},
        {{"--repeat=", "x"}, "not \"\""},
        {{"x", "--repeat"}, "not \"\""}}) {
    CAPTURE(message);
    Outcome const outcome = replay(folder, arguments);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.errors, ContainsSubstring(message));
    CHECK_THAT(outcome.errors, ContainsSubstring("usage: fastalloc-replay"));
    CHECK(outcome.output.empty());
  }
  CHECK_THAT(replay(folder, {"--", "--csv"}).errors, ContainsSubstring("--csv: there is no such file"));
  Outcome const help = replay(folder, {"--help"});
  CHECK(help.code == 0);
  CHECK_THAT(help.output, StartsWith("usage: fastalloc-replay"));
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("a trace that needs more memory than there is ends in an error, not in a crash") {
  Folder const folder;
  Builder builder;
  for (int i = 0; i != 64; ++i) {
    builder.add(Kind::allocate, max_object_size);
  }
  save(folder / "vast.trace", builder.finish());
  Outcome const outcome = replay(folder, {"--repeat", "1", "vast.trace"});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.errors, ContainsSubstring("vast.trace: the replay needs more memory than there is here"));
}
#endif
