// SPDX-License-Identifier: MIT OR Apache-2.0
// posix_spawnp, of /proc/self/exe for this program, and what it runs on.
#include "spawn.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

/// The environment with LD_PRELOAD as the job wants it.
class Environment {
 public:
  explicit Environment(std::string const& library) : preload_("LD_PRELOAD=" + library) {
    for (char** entry = environ; *entry != nullptr; ++entry)
      if (std::strncmp(*entry, "LD_PRELOAD=", 11) != 0) entries_.push_back(*entry);
    if (!library.empty()) entries_.push_back(preload_.data());
    entries_.push_back(nullptr);
  }
  char** get() { return entries_.data(); }

 private:
  std::string preload_;
  std::vector<char*> entries_;
};

/// Starts a program; its standard output goes to `out`. Returns: -1 when that fails.
pid_t start(std::string const& program, std::vector<std::string> words, std::string const& library, int out) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Environment environment(library);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  int const error = posix_spawnp(&pid, program.c_str(), &actions, nullptr, arguments.data(), environment.get());
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

Preload preload_of(std::string_view text) {
  std::size_t const equals = text.find('=');
  if (equals == std::string_view::npos) throw std::runtime_error("--preload wants NAME=LIBRARY");
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string const& value_behind(std::vector<std::string> const& arguments, std::size_t& at) {
  if (at + 1 == arguments.size()) throw std::runtime_error(arguments[at] + " wants a value");
  return arguments[++at];
}

std::vector<Preload> preloads_of(std::string_view list) {
  std::vector<Preload> preloads;
  while (!list.empty()) {
    std::size_t const end = std::min(list.find(':'), list.size());
    preloads.push_back(preload_of(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return preloads;
}

std::optional<Ended> run_program(std::string const& program, std::vector<std::string> arguments,
                                 std::string const& library) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  arguments.insert(arguments.begin(), program);
  pid_t const pid = start(program, std::move(arguments), library, ends[1]);
  close(ends[1]);
  Ended ended;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = read(ends[0], buffer.data(), buffer.size())) > 0;)
    ended.output.append(buffer.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 1;
  if (pid > 0) wait4(pid, &status, 0, &ended.used);
  if (status != 0) return std::nullopt;
  return ended;
}

std::optional<std::string> output_of(std::vector<std::string> arguments, std::string const& library) {
  auto ended = run_program("/proc/self/exe", std::move(arguments), library);
  if (!ended) return std::nullopt;
  return std::move(ended->output);
}

void require_loaded(char const* library) {
  for (char const* symbol : {"malloc", "_Znwm"}) {
    Dl_info info{};
    void* const address = dlsym(RTLD_DEFAULT, symbol);
    if (address != nullptr && dladdr(address, &info) != 0 && std::strcmp(info.dli_fname, library) == 0) return;
  }
  throw std::runtime_error(std::string(library) + " does not replace malloc here");
}

std::string machine() {
  std::string cpu = "unknown CPU";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) cpu = line.substr(std::min(line.size(), line.find(':') + 2));
#if defined(__clang__)
  std::string const compiler = "clang " + std::to_string(__clang_major__);
#else
  std::string const compiler = "g++ " + std::to_string(__GNUC__);
#endif
  return cpu + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, " + compiler;
}

}  // namespace bench
