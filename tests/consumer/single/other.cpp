// SPDX-License-Identifier: MIT OR Apache-2.0
#include <acme.hpp>
#include <fastalloc_single.hpp>
#include <type_traits>

static_assert(!std::is_same_v<acme::pools::Key, fastalloc::Key>);

fastalloc::Handle<int> forty();
int two();

static fastalloc::ThreadSafePool<int> numbers(1);
static acme::pools::ThreadSafePool<int> others(1);

fastalloc::Handle<int> forty() { return numbers.allocate(40); }
int two() { return *others.allocate(2); }
