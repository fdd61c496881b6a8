// SPDX-License-Identifier: MIT OR Apache-2.0
// For the tests of traces: files built byte by byte, a folder of their own, and running a program with its output
// caught.
#pragma once

#include <format.hpp>
#include <reader.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#if __has_include(<unistd.h>)
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace trace_test {

namespace fs = std::filesystem;
using namespace fastalloc::trace;

using Bytes = std::vector<std::uint8_t>;

template <class Integer> void store(Bytes& bytes, std::size_t offset, Integer value) {
  for (std::size_t i = 0; i != sizeof(value); ++i) {
    bytes.at(offset + i) = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

// Makes length, count and checksum of the header fit the bytes behind it.
inline void seal(Bytes& file, std::uint64_t events, Ending ending = Ending::regular) {
  std::uint64_t sum = checksum_start;
  for (std::size_t i = sizeof(Header); i < file.size(); ++i) {
    sum = checksum_add(sum, file[i]);
  }
  store(file, offsetof(Header, ending), static_cast<std::uint32_t>(ending));
  store(file, offsetof(Header, bytes), std::uint64_t{file.size() - sizeof(Header)});
  store(file, offsetof(Header, events), events);
  store(file, offsetof(Header, checksum), sum);
}

// A file, event after event.
class Builder {
 public:
  Builder() : file_(sizeof(Header)) {
    std::memcpy(file_.data(), magic, sizeof(magic));
    store(file_, offsetof(Header, version), version);
    store(file_, offsetof(Header, pid), std::uint32_t{42});
    std::memcpy(file_.data() + offsetof(Header, program), "built", 5);
  }

  Builder& add(Kind kind, std::uint64_t number) { return raw(kind, number, false, 0); }
  Builder& add(Kind kind, std::uint64_t number, std::uint64_t extra) { return raw(kind, number, true, extra); }
  Builder& byte(unsigned value) {
    file_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  std::size_t size() const { return file_.size(); }

  Bytes finish(Ending ending = Ending::regular) const {
    Bytes file = file_;
    seal(file, events_, ending);
    return file;
  }

 private:
  Builder& raw(Kind kind, std::uint64_t number, bool has_extra, std::uint64_t extra) {
    Encoder event;
    event.head(kind, number);
    if (has_extra) {
      event.extra(extra);
    }
    file_.insert(file_.end(), event.bytes, event.bytes + event.size);
    events_ += kind == Kind::thread ? 0 : 1;
    return *this;
  }

  Bytes file_;
  std::uint64_t events_ = 0;
};

inline std::vector<Event> all_events(Trace const& trace) {
  std::vector<Event> events;
  EventCursor cursor = trace.cursor();
  for (Event event; cursor.next(event);) {
    events.push_back(event);
  }
  return events;
}

inline Bytes load(fs::path const& path) {
  std::ifstream stream(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
}

inline void save(fs::path const& path, Bytes const& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<char const*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

#if __has_include(<unistd.h>)

// An empty folder that goes when the test ends.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "fastalloc-trace-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(Folder const&) = delete;
  Folder& operator=(Folder const&) = delete;

  fs::path operator/(std::string const& name) const { return path_ / name; }
  fs::path const& path() const { return path_; }

 private:
  fs::path path_;
};

struct Outcome {
  pid_t pid;
  int code;    // exit code, -1 when killed
  int signal;  // that killed it, or 0
  std::string output;
  std::string errors;
};

inline std::string text_of(fs::path const& path) {
  Bytes const bytes = load(path);
  return {bytes.begin(), bytes.end()};
}

// Runs arguments[0] in the folder, with these variables added to the environment.
inline Outcome run(Folder const& folder, std::vector<std::string> arguments, std::vector<std::string> variables = {}) {
  std::string const output = (folder / ".output").string();
  std::string const errors = (folder / ".errors").string();
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  pid_t const pid = fork();
  if (pid == 0) {
    bool const ready = chdir(folder.path().c_str()) == 0 &&
                       dup2(open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1) == 1 &&
                       dup2(open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2) == 2;
    for (std::string& variable : variables) {
      putenv(variable.data());
    }
    if (ready) {
      execv(argv[0], argv.data());
    }
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return {pid, WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          text_of(output), text_of(errors)};
}

#endif

}  // namespace trace_test
