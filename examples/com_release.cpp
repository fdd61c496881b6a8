// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects that count their own owners: AddRef() and Release() in the manner of COM, with a pool behind them.
//
// Use it where the count is part of an interface: COM and its relatives, plug-in standards, boost::intrusive_ptr, a
// scripting engine. The counts of the policy AtomicShared are the counts: they lie in the slot, behind the object.
// Release() of the last owner destroys the object and frees the slot, without an operator delete.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string>
#include <utility>

namespace {

/// The interface that others know. There is no destructor: Release() is the only end.
class ITexture {
 public:
  virtual unsigned long AddRef() noexcept = 0;
  virtual unsigned long Release() noexcept = 0;  // 0 if that was the end; COM promises no other number
  [[nodiscard]] virtual char const* File() const noexcept = 0;

 protected:
  ~ITexture() = default;
};

class Texture final : public ITexture {
 public:
  using Pool = fastalloc::ThreadSafePool<Texture, fastalloc::AtomicShared>;  // any thread may be the last

  explicit Texture(std::string file) : file_(std::move(file)) {}
  ~Texture() { std::printf("  unloaded %s\n", file_.c_str()); }

  unsigned long AddRef() noexcept override {
    Pool::add_owner(this);
    return 1;
  }
  unsigned long Release() noexcept override { return Pool::drop_owner(this) ? 0 : 1; }
  char const* File() const noexcept override { return file_.c_str(); }

  /// Returns: a texture with one owner, the caller; null if there are too many.
  static ITexture* Create(Pool& pool, char const* file) {
    auto texture = pool.try_allocate(file);
    return texture ? texture.share().release() : nullptr;
  }

 private:
  std::string file_;
};

/// What every COM program has: a pointer that calls the two.
template <class I> class ComPtr {
 public:
  explicit ComPtr(I* owned) noexcept : p_(owned) {}
  ComPtr(ComPtr const& other) noexcept : p_(other.p_) {
    if (p_ != nullptr) p_->AddRef();
  }
  ComPtr& operator=(ComPtr other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~ComPtr() {
    if (p_ != nullptr) p_->Release();
  }
  I* operator->() const noexcept { return p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }

 private:
  I* p_;
};

}  // namespace

int main() {
  Texture::Pool pool(2);
  {
    ComPtr<ITexture> const brick(Texture::Create(pool, "brick.png"));
    ComPtr<ITexture> wood(Texture::Create(pool, "wood.png"));
    std::printf("loaded %s and %s; a third: %s\n", brick->File(), wood->File(),
                ComPtr<ITexture>(Texture::Create(pool, "slate.png")) ? "loaded" : "no room");
    wood = brick;
    std::printf("wood.png has no owner left; %zu in use\n", pool.allocated());
  }
  std::printf("the end: %zu in use\n", pool.allocated());
}
