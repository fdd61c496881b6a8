// SPDX-License-Identifier: MIT OR Apache-2.0
// expect: T is Poolable, and its on_acquire\(\) cannot be called; declare it public, without arguments
// expect: T is Poolable, and its on_release\(\) cannot be called; declare it public, without arguments
// expect: T is Poolable, and has no hook that can be called; declare a public void on_acquire\(\) or void on_release\(\)
// expect: HookCheck<PrivateHook>
// expect: HookCheck<WithArguments>
// expect: HookCheck<Ambiguous>
// expect: HookCheck<WithResult>
// expect: HookCheck<Misspelt>
// expect: HookCheck<Final>
#include <fastalloc/fastalloc.hpp>

class PrivateHook : fastalloc::Poolable {
  void on_acquire() {}

 public:
  void on_release() {}
};
struct WithArguments : fastalloc::Poolable {
  void on_acquire(int) {}
  void on_release() {}
};
struct Left {
  void on_release() {}
};
struct Right {
  void on_release() {}
};
struct Ambiguous : fastalloc::Poolable, Left, Right {
  void on_acquire() {}
};
struct WithResult : fastalloc::Poolable {
  bool on_acquire() { return false; }
};
struct Misspelt : fastalloc::Poolable {
  void on_aquire() {}
};
class Final final {
  void on_acquire() {}
};
template <> inline constexpr bool fastalloc::is_poolable<Final> = true;

fastalloc::FixedPool<PrivateHook> private_hook(1);
fastalloc::FixedPool<WithArguments> with_arguments(1);
fastalloc::GrowingPool<Ambiguous> ambiguous(1);
fastalloc::ThreadSafePool<WithResult> with_result(1);
fastalloc::FixedPool<Misspelt> misspelt(1);
fastalloc::FixedPool<Final> final_class(1);
