// SPDX-License-Identifier: MIT OR Apache-2.0
// Names of workloads and subjects as the pictures show them: a reader of a picture has not read the method.
#pragma once

#include <string>

namespace bench {

/// "bulkRND 1k" becomes "allocate 1,000, free them in random order". A name that says enough stays.
std::string workload_in_words(std::string const& column);

/// "new" becomes "glibc, new and delete".
std::string subject_in_words(std::string const& subject);

/// "ours", "old" (ours, before a change), "limit" (a raw free list) or "peer": the classes of the pictures.
char const* kind_of(std::string const& subject);

}  // namespace bench
