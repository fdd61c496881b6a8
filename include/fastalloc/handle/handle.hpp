// SPDX-License-Identifier: MIT OR Apache-2.0
// Handle<T, Owner>: owns one object in a pool and returns it on destruction. Two words:
//
//   object_   T*, null if empty
//   owner_    Owner*                               P::handle_type is Handle<T, P>: the release is inlined
//             AnyOwner* | inside                   Handle<T> is type-erased: the release is one indirect call
//             nothing                              Handle<T, Bound<pool>> is one word: the pool is in the type
//                                                  (handle/bound.hpp)
//                                                  P::handle_type of a pool with CompactHandles is one word: the
//                                                  object's address leads to the pool (pool/compact_handles.hpp)
//
// `inside` (bit 0) means that object_ is not the start of its slot, but a base class or another part further in. The
// pool then finds the slot from the address, which works for any part, virtual bases included.
// T may be incomplete where a handle is declared.
//
// * and -> on an empty handle: with a checks policy P::handle_type reports to the error handler and ends the program.
// A type-erased handle does not know the policy (Handle<T> is one type for all pools), so it faults like a pointer.
#pragma once

#include <fastalloc/checks/debug_checks.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>  // std::hash
#include <type_traits>
#include <utility>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Hides the origin of a value from the optimizer. Otherwise two adjacent loads merge into one 16-byte load, which
/// stalls right after two separate stores: moving a new handle took 9.4 ns instead of 2.8 ns.
template <class V> FASTALLOC_ALWAYS_INLINE constexpr V opaque(V value) noexcept {
#if defined(__GNUC__)
  if (!std::is_constant_evaluated()) asm("" : "+r"(value));
#endif
  return value;
}

struct HandleAccess;
class CountsRef;

template <class Owner> class OwnerWord;

/// The meaning of the address in a release through AnyOwner.
enum class ReleaseOf : unsigned char {
  object,  ///< the object, which starts its slot
  part,    ///< a part of the object
  shared,  ///< the counts of an object (sharing.hpp) that lost its last SharedHandle
  slot,    ///< the counts of a dead object that lost its last WeakHandle
};

/// Returns an object to its pool.
using Release = void (*)(AnyOwner& owner, void* object, ReleaseOf what) noexcept;

/// The target of a handle's second word.
template <class Owner> struct OwnerOf {
  using type = Owner;
};
template <class T, class... Policies> struct OwnerOf<ThreadLocalPool<T, Policies...>> {
  using type = SubPool<T, Policies...>;
};
template <auto& Pool> struct OwnerOf<Bound<Pool>> {
  using type = std::remove_reference_t<decltype(Pool)>;
};

/// True if handles of this owner are one word, since objects lead to it: the pool has the policy CompactHandles.
template <class Owner> constexpr bool is_compact = std::same_as<Owner, InSegment>;
template <template <class, class...> class Pool, class T, class... Policies>
constexpr bool is_compact<Pool<T, Policies...>> = (std::same_as<Policies, CompactHandles> || ...);

/// True if handles with the owner From become handles with the owner To, which do not know the pool's type.
template <class From, class To>
constexpr bool erases_to = std::same_as<To, AnyOwner> || (std::same_as<To, InSegment> && is_compact<From>);

/// True if handles of this owner check for null before access, as the checks policy says. The policy is read from the
/// type's arguments, so the pool and T may be incomplete. Type-erased handles do not check.
template <class Owner> constexpr bool checks_access = false;
template <template <class, class...> class Pool, class T, class... Policies>
constexpr bool checks_access<Pool<T, Policies...>> = [] {
  bool given = false, tracks = false;
  [[maybe_unused]] auto const look = [&]<class P>(P const*) {
    if constexpr (ChecksPolicy<P>) given = true, tracks = P::tracks_slots;
  };
  (look(static_cast<Policies const*>(nullptr)), ...);
  return given ? tracks : Defaults::checks::tracks_slots;
}();
template <auto& Pool>
constexpr bool checks_access<Bound<Pool>> = checks_access<std::remove_reference_t<decltype(Pool)>>;

/// Reports an invalid access; ends the program if the error handler returns.
template <class T>
[[noreturn]] FASTALLOC_COLD void refuse_access(char const* text, std::size_t i = 0, std::size_t size = 0) {
  Error const error{.code = ErrorCode::invalid_handle,
                    .requested = i,
                    .limit = size,
                    .text = text,
                    .unit = "(index)",
                    .type_name = type_name<T>()};
  report(error);
  default_error_handler(error);
}

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_ABI {

/// Base class of all pools: the interface for handles that do not know the pool's type.
class AnyOwner {
 protected:
  using Release = detail::Release;

  constexpr AnyOwner() noexcept = default;
  ~AnyOwner() = default;
  AnyOwner(AnyOwner const&) = delete;
  AnyOwner& operator=(AnyOwner const&) = delete;

  /// Call before the first handle exists. Not done by the constructor: it may run at compile time and leave only zeros.
  void set_release(Release release) noexcept { release_ = release; }

 private:
  friend class detail::OwnerWord<AnyOwner>;
  friend class detail::CountsRef;
  Release release_ = nullptr;
};

}  // namespace fastalloc::inline FASTALLOC_ABI

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// The second word of a handle: the owner's address; in type-erased handles with `inside` in bit 0.
template <class Owner> class OwnerWord {
  static_assert(!is_compact<Owner>, "fastalloc: CompactHandles has a header of its own; add "
                                    "#include <fastalloc/pool/compact_handles.hpp>");
  static constexpr bool erased = std::same_as<Owner, AnyOwner>;
  using Target = typename OwnerOf<Owner>::type;

 public:
  constexpr OwnerWord() noexcept = default;
  FASTALLOC_ALWAYS_INLINE explicit OwnerWord(Target* owner, bool inside = false) noexcept {
    if constexpr (erased) word_ = reinterpret_cast<std::uintptr_t>(owner) | std::uintptr_t{inside};
    else word_ = owner;
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE OwnerWord copy() const noexcept {
    OwnerWord result;
    result.word_ = opaque(word_);
    return result;
  }
  /// The word of an erased handle to `object`. `moved`: to a part of the object of a handle with `other`.
  template <class O>
  [[nodiscard]] static OwnerWord erase(OwnerWord<O> const& other, void const* object, bool moved) noexcept {
    return OwnerWord(other.any(object), moved || other.inside());
  }
  /// The parameters, of all these functions, are the object's address, for owners that it leads to.
  [[nodiscard]] Target* target(void const* = nullptr) const noexcept requires(!erased) { return word_; }
  [[nodiscard]] AnyOwner* any(void const* = nullptr) const noexcept {
    if constexpr (erased) return reinterpret_cast<AnyOwner*>(word_ & ~std::uintptr_t{1});
    else return word_;
  }
  [[nodiscard]] bool inside() const noexcept {
    if constexpr (erased) return (word_ & 1) != 0;
    return false;
  }

  template <class T> FASTALLOC_ALWAYS_INLINE void release(T* object) const noexcept {
    if constexpr (erased) {
      any()->release_(*any(), const_cast<void*>(static_cast<void const volatile*>(object)),
                      inside() ? ReleaseOf::part : ReleaseOf::object);
    } else {
      word_->release_from_handle(object);
    }
  }
  /// Requires: the object has one owner. Returns: its counts.
  template <class T> [[nodiscard]] auto share(T* object) const noexcept {
    static_assert(
        !erased,
        "fastalloc: an erased Handle<T> does not know whether its pool counts owners; call share() on the pool's own "
        "handle (P::handle_type), and pass the SharedHandle on");
    if constexpr (!erased) return word_->share_from_handle(object);
  }

 private:
  std::conditional_t<erased, std::uintptr_t, Target*> word_{};
};

/// The same for a pool that is part of the type: takes no space.
template <auto& Pool> class OwnerWord<Bound<Pool>> {
  using Target = typename OwnerOf<Bound<Pool>>::type;

 public:
  constexpr OwnerWord() noexcept = default;
  constexpr explicit OwnerWord(Target*) noexcept {}
  [[nodiscard]] constexpr OwnerWord copy() const noexcept { return {}; }
  [[nodiscard]] static constexpr Target* target(void const* = nullptr) noexcept { return &Pool; }
  [[nodiscard]] static constexpr AnyOwner* any(void const* = nullptr) noexcept { return &Pool; }
  [[nodiscard]] static constexpr bool inside() noexcept { return false; }
  // Not templates: g++ 12 would complete the pool, and so T, if a handle is a member of T.
  FASTALLOC_ALWAYS_INLINE static void release(void* object) noexcept {
    Pool.release_from_handle(static_cast<typename Target::value_type*>(object));
  }
  [[nodiscard]] static auto share(void* object) noexcept {
    return Pool.share_from_handle(static_cast<typename Target::value_type*>(object));
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

namespace fastalloc::inline FASTALLOC_ABI {

/// Owns one object in a pool. Move-only. Requires: the pool outlives the handle.
/// Complexity: 0 steps. reset() and destruction: 1 plus the slot policy's, plus owns() with a checks policy, plus
/// owns() for a type-erased handle to a part of the object.
/// Thread safety: destruction and reset(): that of the pool; otherwise that of a pointer.
template <class T, class Owner> class [[nodiscard]] Handle {
 public:
  using element_type = T;
  using owner_type = Owner;

  constexpr Handle() noexcept = default;
  constexpr Handle(std::nullptr_t) noexcept {}

  FASTALLOC_ALWAYS_INLINE Handle(Handle&& other) noexcept
      : object_(detail::opaque(other.object_)), owner_(other.owner_.copy()) {
    other.object_ = nullptr;
  }

  /// From a handle of any pool to T or to a class derived from T: erases the pool's type.
  template <class U, class O> requires(!std::same_as<Handle<U, O>, Handle>) && detail::erases_to<O, Owner> &&
                                      std::convertible_to<U*, T*> Handle(Handle<U, O>&& other) noexcept {
    U* const from = std::exchange(other.object_, nullptr);
    object_ = from;
    bool const moved = static_cast<void const volatile*>(object_) != static_cast<void const volatile*>(from);
    owner_ = detail::OwnerWord<Owner>::erase(other.owner_, from, moved);
  }
  template <class U, class O> requires(std::same_as<Owner, InSegment> && !detail::is_compact<O>)
  Handle(Handle<U, O>&&, FASTALLOC_ADVICE("fastalloc: no pool with CompactHandles; use Handle<T>")) = delete;

  /// Takes over the object of `owner` and points to `part` of it: a member, a base, the alternative of a std::variant.
  /// Any part will do, since the pool finds the slot from its address. If `part` is null or `owner` empty, this handle
  /// is empty and `owner` unchanged:
  ///   if (Handle<Circle> circle(std::move(shape), std::get_if<Circle>(shape.get())); circle) ...
  ///   else ...  // shape still owns the object
  /// Requires: `part` is null or lies inside the object.
  template <class U, class O> requires detail::erases_to<O, Owner> Handle(Handle<U, O>&& owner, T* part) noexcept {
    if (part == nullptr || owner.object_ == nullptr) return;
    bool const moved = static_cast<void const volatile*>(part) != static_cast<void const volatile*>(owner.object_);
    object_ = part;
    owner_ = detail::OwnerWord<Owner>::erase(owner.owner_, owner.object_, moved);
    owner.object_ = nullptr;
  }

  /// Self-move has no effect.
  FASTALLOC_ALWAYS_INLINE Handle& operator=(Handle&& other) noexcept {
    T* const object = detail::opaque(other.object_);
    auto const owner = other.owner_.copy();
    other.object_ = nullptr;
    T* const old_object = object_;
    auto const old_owner = owner_;
    object_ = object;
    owner_ = owner;
    if (old_object != nullptr) old_owner.release(old_object);
    return *this;
  }
  Handle& operator=(std::nullptr_t) noexcept { return reset(), *this; }

  Handle(Handle const&, FASTALLOC_ADVICE("fastalloc: an object has one Handle; move or share it")) = delete;
  FASTALLOC_ADVISES("fastalloc: an object has one Handle; move or share it") operator=(Handle const&) = delete;

  FASTALLOC_ALWAYS_INLINE ~Handle() {
    if (object_ != nullptr) owner_.release(object_);
  }

  /// Requires: not empty. A checks policy reports an empty handle and ends the program.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE std::add_lvalue_reference_t<T> operator*() const noexcept {
    return *operator->();
  }
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* operator->() const noexcept {
    if constexpr (detail::checks_access<Owner>)
      if (object_ == nullptr) [[unlikely]]
        detail::refuse_access<T>("an empty handle has no object; it was moved from, reset or released, or a pool was "
                                 "full; test it first, as in if (handle)");
    return object_;
  }
  /// The object, or null if empty.
  [[nodiscard]] FASTALLOC_ALWAYS_INLINE T* get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

  /// Effects: returns the object to its pool. The handle is already empty when the object's destructor runs.
  void reset() noexcept {
    if (T* const object = std::exchange(object_, nullptr)) owner_.release(object);
  }

  /// Effects: gives up the object without returning it to the pool; adopt() takes it back. Returns: the object.
  [[nodiscard]] T* release() noexcept { return std::exchange(object_, nullptr); }

  /// Effects: gives the object counts for several owners; this handle is empty afterwards. Returns: the first owner;
  /// empty if this handle was. Requires: a pool with Shared or AtomicShared, and
  /// <fastalloc/handle/shared_handle.hpp>.
  template <class O = Owner> [[nodiscard]] SharedHandle<T> share() noexcept {
    T* const object = release();
    return object != nullptr ? SharedHandle<T>(object, owner_.share(object)) : SharedHandle<T>();
  }

  void swap(Handle& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(owner_, other.owner_);
  }
  friend void swap(Handle& a, Handle& b) noexcept { a.swap(b); }

  /// Compares addresses.
  friend bool operator==(Handle const& a, Handle const& b) noexcept { return a.object_ == b.object_; }
  friend std::strong_ordering operator<=>(Handle const& a, Handle const& b) noexcept {
    return std::compare_three_way{}(a.object_, b.object_);
  }
  friend bool operator==(Handle const& a, std::nullptr_t) noexcept { return a.object_ == nullptr; }

 private:
  template <class U, class O> friend class Handle;
  friend struct detail::HandleAccess;

  FASTALLOC_ALWAYS_INLINE Handle(T* object, typename detail::OwnerOf<Owner>::type* owner) noexcept
      : object_(object), owner_(owner) {}
  Handle(T* object, detail::OwnerWord<Owner> owner) noexcept : object_(object), owner_(owner) {}

  T* object_ = nullptr;
  FASTALLOC_NO_UNIQUE_ADDRESS detail::OwnerWord<Owner> owner_;
};

template <class T, class O, class U, class P> requires(!std::same_as<Handle<T, O>, Handle<U, P>>)
FASTALLOC_UNAVAILABLE("fastalloc: handles of different types do not compare; compare a.get() == b.get(), or store "
                      "erased handles: Handle<T>",
                      bool, operator==(Handle<T, O> const&, Handle<U, P> const&));
template <class T, class O, class U, class P> requires(!std::same_as<Handle<T, O>, Handle<U, P>>)
FASTALLOC_UNAVAILABLE("fastalloc: handles of different types do not compare; compare a.get() < b.get(), or store "
                      "erased handles: Handle<T>",
                      std::strong_ordering, operator<=>(Handle<T, O> const&, Handle<U, P> const&));

}  // namespace fastalloc::inline FASTALLOC_ABI

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// Constructs and opens handles for the pools.
struct HandleAccess {
  template <class Owner, class T>
  FASTALLOC_ALWAYS_INLINE static Handle<T, Owner> make(T* object, typename OwnerOf<Owner>::type* owner) noexcept {
    return Handle<T, Owner>(object, owner);
  }
  template <class Owner, class T> static Handle<T, Owner> make(T* object, OwnerWord<Owner> owner) noexcept {
    return Handle<T, Owner>(object, owner);
  }
  template <class T, class Owner>
  [[nodiscard]] static OwnerWord<Owner> owner_word(Handle<T, Owner> const& handle) noexcept {
    return handle.owner_;
  }
  template <class T, class Owner> [[nodiscard]] static auto* owner(Handle<T, Owner> const& handle) noexcept {
    return handle.owner_.target(handle.object_);
  }
};

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

template <class T, class Owner> struct std::hash<fastalloc::Handle<T, Owner>> {
  [[nodiscard]] std::size_t operator()(fastalloc::Handle<T, Owner> const& handle) const noexcept {
    return std::hash<T*>{}(handle.get());
  }
};
