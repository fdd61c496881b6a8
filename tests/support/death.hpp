// SPDX-License-Identifier: MIT OR Apache-2.0
// run_in_child(f): runs f in a forked process and tells how that ended. For calls that end the program.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace test {

struct Ending {
  bool survived = false;  ///< f returned
  bool aborted = false;   ///< by std::abort
  std::string errors;     ///< what was written to stderr
};

template <class F> Ending run_in_child(F&& f) {
  constexpr int survived = 77;
  int ends[2];
  if (::pipe(ends) != 0) return {};
  std::fflush(nullptr);
  ::pid_t const child = ::fork();
  if (child == 0) {
    // Catch2's handlers
    for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(signal, SIG_DFL);
    ::close(ends[0]);
    if (::dup2(ends[1], STDERR_FILENO) < 0 || std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(1);
    f();
    std::fflush(nullptr);
    ::_exit(survived);
  }
  ::close(ends[1]);
  Ending ending;
  char buffer[512];
  for (::ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    ending.errors.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  // What an emulator of another processor says of the same end.
  ending.errors.resize((std::min)(ending.errors.size(), ending.errors.find("qemu: uncaught target signal")));
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return {};
  ending.survived = WIFEXITED(status) && WEXITSTATUS(status) == survived;
  ending.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  return ending;
}

}  // namespace test
