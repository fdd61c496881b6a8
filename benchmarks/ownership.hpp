// SPDX-License-Identifier: MIT OR Apache-2.0
// The sections of fastalloc-bench-ownership (ownership.cpp): what it costs to own and reach an object in other ways
// than by a Handle. A section is a function of a file of its own that calls add() for each of its rows; the program
// calls it by name.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>

namespace bench::ownership {

/// Whether the process has one thread while the row is measured: the C library, and so std::shared_ptr, saves the
/// locked instructions then.
enum class Threads { one, two };

/// A row of the table `table`; the first row that is added to a table is what the others are compared with.
/// Where it calls SetItemsProcessed() the time is that of an item.
benchmark::internal::Benchmark* add(Threads threads, std::string const& table, std::string const& row,
                                    std::function<void(benchmark::State&)> run);

// One function a source file; coroutines.cpp, which is not linked everywhere, adds itself.
void add_sharing();
void add_keys();
void add_iteration();
void add_many();
void add_clearing();
void add_saved();
void add_overwriting();
void add_exhaustion();
void add_requests();

}  // namespace bench::ownership
