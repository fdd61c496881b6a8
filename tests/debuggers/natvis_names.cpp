// SPDX-License-Identifier: MIT OR Apache-2.0
// Prints the qualified names of templates that fastalloc.natvis shows, up to their arguments.
#include <fastalloc/fastalloc.hpp>

#if __cpp_rtti
#include <cxxabi.h>
#endif
#include <cstdio>
#include <cstdlib>
#include <string_view>
#if __cpp_rtti
#include <typeinfo>
#endif

namespace {

template <class T> void print() {
#if __cpp_rtti  // names from clang's __PRETTY_FUNCTION__ leave inline namespaces out
  char* const whole = abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, nullptr);
  std::string_view name = whole;
#else
  std::string_view name = fastalloc::detail::type_name<T>();
#endif
  name = name.substr(0, name.find('<'));
  std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
#if __cpp_rtti
  std::free(whole);
#endif
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
