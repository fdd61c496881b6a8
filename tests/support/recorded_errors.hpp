// SPDX-License-Identifier: MIT OR Apache-2.0
// RecordedErrors: while it lives, errors that would end the program are written down instead.
#pragma once

#include <fastalloc/error.hpp>

#include <string>
#include <vector>

namespace test {

class RecordedErrors {
 public:
  RecordedErrors() : previous_(fastalloc::set_error_handler(&record)) { list().clear(); }
  ~RecordedErrors() { fastalloc::set_error_handler(previous_); }
  RecordedErrors(RecordedErrors const&) = delete;
  RecordedErrors& operator=(RecordedErrors const&) = delete;

  [[nodiscard]] std::size_t count() const { return list().size(); }
  [[nodiscard]] fastalloc::Error const& operator[](std::size_t i) const { return list().at(i); }
  [[nodiscard]] fastalloc::Error const& last() const { return list().at(count() - 1); }
  void clear() { list().clear(); }

 private:
  static std::vector<fastalloc::Error>& list() {
    static std::vector<fastalloc::Error> errors;
    return errors;
  }
  static void record(fastalloc::Error const& error) { list().push_back(error); }

  fastalloc::ErrorHandler previous_;
};

}  // namespace test
