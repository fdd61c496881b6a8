// SPDX-License-Identifier: MIT OR Apache-2.0
#include "words.hpp"

#include <sstream>

namespace bench {
namespace {

/// "100k" becomes "100,000".
std::string count(std::string text) {
  bool const millions = text.ends_with('M');
  bool const thousands = text.ends_with('k');
  if (millions || thousands) text.pop_back();
  if (millions) return text == "1" ? "a million" : text + " million";
  if (thousands) return text + ",000";
  return text.size() > 3 ? text.substr(0, text.size() - 3) + ',' + text.substr(text.size() - 3) : text;
}

std::string of_threads(std::string const& number) { return number == "1" ? "1 thread" : number + " threads"; }

std::string of_many(std::istringstream& words) {
  std::string what, number;
  words >> what >> number;
  if (auto const slash = what.find('/'); slash != std::string::npos) {
    std::string const pools = what.substr(0, slash);
    return of_threads(what.substr(slash + 1)) + ", each uses " +
           (pools == "1" ? "one pool" : count(pools) + " pools in turn");
  }
  std::string const asleep = number == "0" ? "" : ", " + count(number) + " others asleep";
  if (what == "idle") return "1 thread" + asleep;
  if (what == "held") return "1 thread that holds 100 objects" + asleep;
  if (what == "big") return "1 thread uses " + count(number) + " pools of 256 KiB in turn";
  if (what == "full") return "attempts at a full pool" + asleep;
  if (what == "thread")
    return "a thread starts, uses a pool " + (number == "1" ? "once" : number + " times") + ", ends";
  if (what == "demand") {
    std::ostringstream percent;
    percent << 100 * std::stod(number);
    return "4 threads want " + percent.str() + " % of the slots";
  }
  return what + ' ' + number;
}

}  // namespace

std::string workload_in_words(std::string const& column) {
  if (column == "pairObj") return "allocate one, free it";
  if (column == "pair") return "allocate one, free it, its pointer stored";
  std::istringstream words(column);
  std::string what, number, more;
  words >> what >> number >> more;
  if (what == "bulkRND") return "allocate " + count(number) + ", free them in random order";
  if (what == "bulkFIFO") return "allocate " + count(number) + ", free them in that order";
  if (what == "bulkLIFO") return "allocate " + count(number) + ", free the last first";
  if (what == "churn" && more.empty()) return "replace a random one of " + count(number);
  if (what == "wave") return "frames: an eighth of " + count(number) + " dies, is replaced";
  if (what == "churn") return "std::" + number + " of " + count(more) + ": erase and insert";
  if (what == "build" && !more.empty()) return "std::" + number + " of " + count(more) + ": fill, destroy";
  if (what == "alone" && more.empty()) return "memory alone: allocate, free";
  if (what == "alone") return "memory alone: " + workload_in_words(number + ' ' + more);
  if (what == "threads") return "memory alone: " + of_threads(number) + ", 64 objects each";
  if (what == "many") {
    std::istringstream again(column.substr(5));
    return of_many(again);
  }
  if (column.find(" / memory, vector") != std::string::npos)
    return "a header alone, as a multiple of <memory>, <vector>";
  if (what == "text") return "code and constants " + column.substr(5);
  return column;
}

std::string subject_in_words(std::string const& subject) {
  if (subject == "new") return "glibc, new and delete";
  if (subject == "malloc") return "glibc, malloc and free";
  if (subject == "unique_ptr") return "glibc, std::make_unique";
  if (subject == "new, one object") return "glibc, one object";
  if (subject == "lists of the thread") return "raw free lists of the thread";
  if (subject.starts_with("allocate().share(), ")) return subject.substr(11);
  if (subject.starts_with("list, ")) return "raw free list, " + subject.substr(6);
  return subject;
}

char const* kind_of(std::string const& subject) {
  if (subject.ends_with(", before")) return "old";
  if (subject.find("raw free list") != std::string::npos || subject.starts_with("list") || subject == "the loop itself")
    return "limit";
  bool const named = subject.find("Pool") != std::string::npos || subject.find("Handle") != std::string::npos ||
                     subject.starts_with("allocate_") || subject.starts_with("fastalloc/");
  return named && subject.find("std::") == std::string::npos && subject.find("boost::") == std::string::npos ? "ours"
                                                                                                             : "peer";
}

}  // namespace bench
