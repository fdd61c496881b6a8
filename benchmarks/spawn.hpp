// SPDX-License-Identifier: MIT OR Apache-2.0
// This program once more, or another one, in a process of its own: a fresh heap, a fresh address layout, and another
// allocator in LD_PRELOAD where the subject is one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

namespace bench {

/// A general allocator that replaces malloc.
struct Preload {
  std::string name;
  std::string library;
};
/// NAME=LIBRARY. Throws std::runtime_error when there is no '='.
Preload preload_of(std::string_view text);
/// The argument behind option arguments[at], which `at` then names. Throws std::runtime_error when there is none.
std::string const& value_behind(std::vector<std::string> const& arguments, std::size_t& at);
/// What the configuration found: NAME=LIBRARY, separated by ':'.
std::vector<Preload> preloads_of(std::string_view list);

/// A program that has ended well.
struct Ended {
  std::string output;  ///< what it wrote to standard output
  rusage used{};
};
/// Starts a program, found as by a shell, and waits for it. Returns: nothing when it failed.
std::optional<Ended> run_program(std::string const& program, std::vector<std::string> arguments,
                                 std::string const& library);

/// Starts this program with these arguments and waits for it. Returns: its standard output, nothing when it failed.
std::optional<std::string> output_of(std::vector<std::string> arguments, std::string const& library);

/// In that process: throws std::runtime_error when malloc is not the library's. A preloaded library that the loader
/// could not load is ignored by it; its row would show another allocator's times.
void require_loaded(char const* library);

/// The processor, its cores, the compiler.
std::string machine();

}  // namespace bench
