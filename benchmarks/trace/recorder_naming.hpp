// SPDX-License-Identifier: MIT OR Apache-2.0
// Where a process writes its trace. FASTALLOC_TRACE names the file; "%p" in it stands for the process id.
//
//   without %p    the program that was started writes NAME, replacing an older file; what it forks or starts, NAME.PID
//   with %p       each process its own; a file that exists is kept, and ".2", ".3" … is added to the new one's name
//   unset         fastalloc.%p.trace in the working folder
#pragma once

#include "recorder_output.hpp"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" char** environ;

namespace fastalloc::trace {

inline constinit std::atomic<std::uint32_t> incarnations{
    0};                                               // files begun by this process image, parents of a fork included
inline constinit char name_pattern[PATH_MAX + 64]{};  // for this process; with %p once a file was begun

inline void complain(char const* what, char const* path, char const* consequence) noexcept {
  NoCancellation guard;
  char text[PATH_MAX + 256];
  int const length = snprintf(text, sizeof(text), "fastalloc-record: %s: %s: %s\n", path, what, consequence);
  [[maybe_unused]] auto const written = write(STDERR_FILENO, text, static_cast<std::size_t>(length));
}

// The name with %p replaced by the process id, and ".2", ".3" … at its end from the second attempt on.
inline void expand_name(char (&path)[PATH_MAX], int attempt) noexcept {
  char const* const mark = strstr(name_pattern, "%p");
  auto const before = mark == nullptr ? strlen(name_pattern) : static_cast<std::size_t>(mark - name_pattern);
  char pid[16] = "";
  char suffix[16] = "";
  if (mark != nullptr) {
    snprintf(pid, sizeof(pid), "%d", static_cast<int>(getpid()));
  }
  if (attempt > 1) {
    snprintf(suffix, sizeof(suffix), ".%d", attempt);
  }
  snprintf(path, sizeof(path), "%.*s%s%s%s", static_cast<int>(before), name_pattern, pid,
           mark == nullptr ? "" : mark + 2, suffix);
}

// The pattern as an absolute path: children may work in another folder.
inline void choose_name(char const* wanted) noexcept {
  char folder[PATH_MAX] = "";
  if (wanted[0] != '/' && getcwd(folder, sizeof(folder) - 1) != nullptr) {
    strcat(folder, "/");
  }
  snprintf(name_pattern, sizeof(name_pattern), "%s%s", folder, wanted);
}

// Processes that this one starts must not overwrite its file: from now on the name holds the process id, for a forked
// child through name_pattern, for a program that is started through the environment. To be called before main only:
// later, the strings of the environment belong to the program.
inline void rename_for_children() noexcept {
  constexpr char variable[] = "FASTALLOC_TRACE=";
  static char entry[sizeof(variable) + sizeof(name_pattern)];
  if (strstr(name_pattern, "%p") == nullptr) {
    strncat(name_pattern, ".%p", sizeof(name_pattern) - strlen(name_pattern) - 1);
  }
  for (char** place = environ; *place != nullptr; ++place) {
    if (strncmp(*place, variable, sizeof(variable) - 1) == 0) {
      snprintf(entry, sizeof(entry), "%s%s", variable, name_pattern);
      *place = entry;
    }
  }
}

inline bool open_file(TraceFile& file) noexcept {
  if (name_pattern[0] == '\0') {
    char const* const wanted = getenv("FASTALLOC_TRACE");
    choose_name(wanted != nullptr && wanted[0] != '\0' ? wanted : "fastalloc.%p.trace");
  }
  bool const is_alone = strstr(name_pattern, "%p") == nullptr;
  bool const is_first = incarnations.fetch_add(1, std::memory_order_relaxed) == 0;
  char path[PATH_MAX];
  bool is_open = false;
  for (int attempt = 1; !is_open; ++attempt) {
    expand_name(path, attempt);
    is_open = file.open(path, is_alone ? TraceFile::Existing::replace : TraceFile::Existing::keep,
                        program_invocation_short_name);
    if (!is_open && (errno != EEXIST || attempt == 1000)) {
      complain(strerror(errno), path, "cannot write there; this process is not recorded");
      break;
    }
  }
  if (is_first) {
    rename_for_children();
  }
  return is_open;
}

}  // namespace fastalloc::trace
