// SPDX-License-Identifier: MIT OR Apache-2.0
// Prints the qualified names of templates that fastalloc.natvis shows, up to their arguments.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string_view>

namespace {

template <class T> void print() {
  std::string_view name = fastalloc::detail::type_name<T>();
  name = name.substr(0, name.find('<'));
  std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
}

}  // namespace

int main() {
  using namespace fastalloc;
  print<Handle<int>>();
  print<SharedHandle<int>>();
  print<WeakHandle<int>>();
  print<FixedPool<int>>();
  print<GrowingPool<int>>();
  print<ThreadSafePool<int>>();
  print<MovablePool<FixedPool<int>>>();
  print<Result<int>>();
  print<PoolStatistics>();
  print<Error>();
  print<Key>();
  print<ShortKey<20, 12>>();
  print<BatchHandle<int, FixedPool<int>>>();
  print<SpanHandle<int, FixedPool<int>>>();
}
