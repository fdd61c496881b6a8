// SPDX-License-Identifier: MIT OR Apache-2.0
// SlotRequests: on_available() and async_allocate() of ThreadSafePool, which declares and documents them.
//
//   on_available -> RequestNode in the pool's WaitQueue -> a slot is handed over under the lock -> unlock -> f(slot)
//
//   state   waiting -> running -> done           the server, before and after f
//           waiting -> cancelled                 the user, who gives a slot back that was handed over meanwhile: the
//                                                server may be in another request's function
//
// A node has two users, its SlotRequest and the queue (then the server); the last one deletes it. While a thread runs
// the function of one request, others that it serves wait in WaitQueue::Deferral, so that a chain of requests, each of
// which releases its object, takes constant stack.
#pragma once

#include <fastalloc/pool/thread_safe_pool.hpp>

#include <atomic>
#include <new>
#include <optional>
#include <tuple>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// A request in a pool's WaitQueue. Knows neither T nor the pool's type.
class RequestNode : public WaitNode {
 public:
  enum class State : std::uint32_t { waiting, running, done, cancelled };
  /// The functions that know the type.
  struct Kind {
    void (*run)(RequestNode&) noexcept;          ///< calls f; the slot is used or back afterwards
    void (*give_back)(RequestNode&) noexcept;    ///< the slot
    bool (*leave_queue)(RequestNode&) noexcept;  ///< returns: true if the request was in the queue
    void (*destroy)(RequestNode const&) noexcept;
  };

  /// A user of a node until its end.
  struct User {
    RequestNode* node;
    ~User() {
      if (node != nullptr) node->drop();
    }
  };

  RequestNode(RequestNode const&) = delete;
  RequestNode& operator=(RequestNode const&) = delete;

  /// Returns: true if f has not been called and never will be.
  bool cancel() noexcept {
    State expected = State::waiting;
    // acq_rel: the loser sees what the winner did before.
    if (!state_.compare_exchange_strong(expected, State::cancelled, std::memory_order_acq_rel)) return false;
    if (kind_.leave_queue(*this)) drop();  // for the queue
    else if (taken.slot != nullptr) kind_.give_back(*this);
    return true;
  }
  [[nodiscard]] bool is_cancelled() const noexcept {
    return state_.load(std::memory_order_acquire) == State::cancelled;
  }
  [[nodiscard]] bool is_waiting() const noexcept { return state_.load(std::memory_order_acquire) == State::waiting; }
  /// Returns when f does not run, unless this thread runs it. The pool may end meanwhile.
  void wait_for_end() const noexcept {
    while (state_.load(std::memory_order_acquire) == State::running) {  // acquire: pairs with the release in deliver()
      // In the child of a fork the thread that ran f does not exist.
      if (server_ == &WaitQueue::deferred() || home_.forks.load(std::memory_order_relaxed) != forks_) return;
      detail::yield();  // functions are short; and std::atomic::wait() does not work everywhere
    }
  }
  void hold() const noexcept { users_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: the caller is a user
  void drop() const noexcept {
    // acq_rel: the last one sees what the other did.
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) kind_.destroy(*this);
  }

 protected:
  explicit RequestNode(Kind const& kind) noexcept : WaitNode(&served), kind_(kind) {}
  ~RequestNode() = default;

 private:
  /// Runs in the code of the library that made the request, as the functions of its other requests, whoever releases.
  static void served(WaitNode& node) noexcept {
    // If the pool ends, the request cannot wait.
    if (node.is_due || node.taken.slot == nullptr) return static_cast<RequestNode&>(node).deliver();
    WaitQueue::Deferral const until_here;
    WaitQueue::deferred()->append(node);
  }
  void deliver() noexcept {
    server_ = &WaitQueue::deferred();
    forks_ = home_.forks.load(std::memory_order_relaxed);  // relaxed: as the other data that `running` publishes
    State expected = State::waiting;
    // acq_rel: as in cancel(); and the user who sees `running` sees the server.
    if (state_.compare_exchange_strong(expected, State::running, std::memory_order_acq_rel)) {
      kind_.run(*this);
      state_.store(State::done, std::memory_order_release);  // release: pairs with the acquire in wait_for_end()
    }
    drop();  // the pool of a cancelled request may be gone
  }

  Kind const& kind_;
  std::atomic<State> state_{State::waiting};
  mutable std::atomic<std::uint32_t> users_{2};
  void const* server_ = nullptr;  ///< tells the thread that runs f
  Registry& home_ = registry;     ///< of the library that made the request
  std::uint32_t forks_ = 0;       ///< in home_, when f was called
};

template <class Requests, class Stop, class... Args> class AsyncAllocation;
template <class Derived, class T, class Kind, class... Ps>
SlotRequests<PoolObjects<Derived, T, Kind, Ps...>> requests_of(PoolObjects<Derived, T, Kind, Ps...>&);

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

namespace fastalloc::inline FASTALLOC_MODE {

/// Owns a request of ThreadSafePool::on_available(), and cancels it at its end. May outlive the pool, unless
/// cancel() runs while the pool ends. Thread safety: one thread at a time; the request may be served meanwhile.
class [[nodiscard]] SlotRequest {
 public:
  SlotRequest() noexcept = default;
  SlotRequest(SlotRequest&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  SlotRequest& operator=(SlotRequest&& other) noexcept {
    SlotRequest taken(std::move(other));
    std::swap(node_, taken.node_);
    return *this;
  }
  /// Effects: cancels the request. If its function is running on another thread, waits for its end; so the function may
  /// use what lives longer than the request.
  ~SlotRequest() {
    if (node_ == nullptr) return;
    if (!node_->cancel()) node_->wait_for_end();
    node_->drop();
  }

  /// Returns: true if the function was not called and never will be; false if it has been called, even if it still
  /// runs, and for an empty owner. Does not wait for a running function.
  bool cancel() noexcept { return node_ != nullptr && node_->cancel(); }
  /// Effects: the request goes on without an owner.
  void detach() noexcept {
    if (node_ != nullptr) std::exchange(node_, nullptr)->drop();
  }
  /// True while the function has not been called and the request was not cancelled.
  [[nodiscard]] explicit operator bool() const noexcept { return node_ != nullptr && node_->is_waiting(); }

 private:
  template <class> friend class detail::SlotRequests;
  template <class, class, class...> friend class detail::AsyncAllocation;
  explicit SlotRequest(detail::RequestNode* node) noexcept : node_(node) {}

  detail::RequestNode* node_ = nullptr;
};

/// A slot for the function of a request: valid during the call. Without a call of allocate() the slot goes back.
template <class Pool> class FreeSlot {
 public:
  using handle_type = typename Pool::handle_type;

  FreeSlot(FreeSlot const&) = delete;
  FreeSlot& operator=(FreeSlot const&) = delete;

  /// False if the pool ends, and after allocate().
  [[nodiscard]] explicit operator bool() const noexcept { return has_slot_; }
  /// Effects: builds an object in the slot, as allocate() of the pool does. Returns: its handle.
  /// Throws: what T's constructor throws, the slot has then gone back; PoolExhausted without a slot.
  template <class... Args> [[nodiscard]] handle_type allocate(Args&&... args) {
    if (!std::exchange(has_slot_, false)) requests_.fail_without_slot();
    return requests_.build_for(node_, std::forward<Args>(args)...);
  }

 private:
  template <class> friend class detail::SlotRequests;
  template <class, class, class...> friend class detail::AsyncAllocation;
  using Requests = decltype(detail::requests_of(std::declval<Pool&>()));
  FreeSlot(Requests requests, detail::RequestNode& node) noexcept
      : requests_(requests), node_(node), has_slot_(node.taken.slot != nullptr) {}
  ~FreeSlot() {
    if (has_slot_) requests_.give_back(node_);
  }

  Requests requests_;
  detail::RequestNode& node_;
  bool has_slot_;
};

}  // namespace fastalloc::inline FASTALLOC_MODE

namespace fastalloc::detail::inline FASTALLOC_MODE {

struct NeverStops {};

/// What is awaited. Stop: a std::stop_token, or NeverStops. Args: references, used in the full expression that awaits.
template <class Requests, class Stop, class... Args> class AsyncAllocation {
  using Pool = typename Requests::pool_type;
  using handle_type = typename Requests::handle_type;

  class Awaiter {
   public:
    Awaiter(Pool& pool, Stop stop, std::tuple<Args...> args) noexcept
        : requests_(pool), stop_(std::move(stop)), args_(std::move(args)) {}
    Awaiter(Awaiter const&) = delete;
    Awaiter& operator=(Awaiter const&) = delete;

    bool await_ready() {
      if constexpr (stops)
        if (stop_.stop_requested()) return true;
      Taken const taken = requests_.pop();
      if (taken.slot == nullptr) return false;
      handle_ = with_args([&](auto&&... args) { return requests_.build(taken, static_cast<Args>(args)...); });
      return true;
    }
    /// Returns: false if a stop was requested before the request came to the queue. Throws: what a growth function
    /// throws, before that.
    template <class Continuation> bool await_suspend(Continuation continuation) {
      auto* const resumed = continuation.address();
      RequestNode* const node = requests_.make_node([this, resumed](auto& slot) {
        slot_ = &slot;
        Continuation::from_address(resumed).resume();
      });
      request_ = SlotRequest(node);
      node->hold();
      RequestNode::User const until_queued{node};
      Requests requests = requests_;
      if constexpr (stops) {
        callback_.emplace(stop_,
                          OnStop{*this, [](void* address) { Continuation::from_address(address).resume(); }, resumed});
      }
      // When this has returned true, another thread may resume the coroutine, which ends *this, and the pool.
      return requests.enqueue(*node, [this] {
        Phase expected = Phase::preparing;
        // acq_rel: pairs with OnStop.
        return !stops || phase_.compare_exchange_strong(expected, Phase::suspended, std::memory_order_acq_rel);
      });
    }
    handle_type await_resume() {
      if constexpr (stops) callback_.reset();
      if (slot_ == nullptr || !*slot_) return std::move(handle_);
      return with_args([&](auto&&... args) { return slot_->allocate(static_cast<Args>(args)...); });
    }

   private:
    static constexpr bool stops = !std::same_as<Stop, NeverStops>;
    enum class Phase : std::uint8_t { preparing, suspended, stopped };
    struct OnStop {
      Awaiter& awaiter;
      void (*resume)(void*);
      void* continuation;
      void operator()() noexcept {
        if (!awaiter.request_.cancel()) return;
        // acq_rel: pairs with await_suspend().
        if (awaiter.phase_.exchange(Phase::stopped, std::memory_order_acq_rel) == Phase::suspended)
          resume(continuation);
      }
    };
    template <class F> decltype(auto) with_args(F&& f) { return std::apply(f, std::move(args_)); }

    Requests requests_;
    FASTALLOC_NO_UNIQUE_ADDRESS Stop stop_;
    std::tuple<Args...> args_;
    handle_type handle_{};
    FreeSlot<typename Requests::owner_type>* slot_ = nullptr;
    SlotRequest request_;  // ends before what its function uses
    std::atomic<Phase> phase_{Phase::preparing};
#if defined(__cpp_lib_jthread)
    std::conditional_t<stops, std::optional<std::stop_callback<OnStop>>, NeverStops> callback_{};
#endif
  };

 public:
  AsyncAllocation(Pool& pool, Stop stop, Args... args) noexcept
      : pool_(pool), stop_(std::move(stop)), args_(static_cast<Args>(args)...) {}
  AsyncAllocation(AsyncAllocation const&) = delete;
  AsyncAllocation& operator=(AsyncAllocation const&) = delete;

  /// Only where it is created: the arguments live as long as that full expression.
  [[nodiscard]] Awaiter operator co_await() && noexcept { return {pool_, std::move(stop_), std::move(args_)}; }

 private:
  Pool& pool_;
  FASTALLOC_NO_UNIQUE_ADDRESS Stop stop_;
  std::tuple<Args...> args_;
};

/// The slots. Does not depend on T.
template <class Choices> class SlotRequests<PoolCore<Choices>> {
  using Core = PoolCore<Choices>;

 public:
  /// Returns: the slot of a request that was served, ready for an object.
  static Taken claim(Core& core, RequestNode& node) noexcept {
    {
      auto const guard = core.inside_slow();
      core.waiters_.end_offer(node);
    }
    core.prepare(node.taken);
    return node.taken;  // stays: the server may read it while a user cancels
  }
  /// Returns: false if the request was not in the queue.
  static bool leave_queue(Core& core, RequestNode& node) noexcept {
    auto const guard = core.inside_slow();
    if (!core.waiters_.leave(node)) return false;
    core.caches_.reopen(core.supply_);
    return true;
  }
  /// Effects: the request waits for a slot, or has one, unless it was cancelled or publish() returns false, which is
  /// called at the last moment before others see the request. Returns: what publish() returned. The pool may be gone
  /// then; only a user may look at the node. Throws: what a growth function throws, before the request can be seen.
  template <class Publish> static bool enqueue(Core& core, RequestNode& node, Publish&& publish) {
    RequestNode::User queue{&node};
    [[maybe_unused]] std::size_t tried = (std::numeric_limits<std::size_t>::max)();  // capacity that did not grow
    for (;;) {
      {
        auto const guard = core.inside_slow();
        if (node.is_cancelled()) break;
        bool waits = true;
        if constexpr (Choices::shape::growing)
          waits = core.gathers(1) || std::exchange(tried, core.supply_.total()) == core.supply_.total();
        if (waits) {
          if (!publish()) return false;
          queue.node = nullptr;
          core.caches_.close(core.supply_);
          core.waiters_.push(node);
          core.serve();
          return true;
        }
      }
      if constexpr (Choices::shape::growing) core.try_to_grow(1, nullptr);
    }
    return publish();  // not under the lock: who cancelled may go on, and end the pool
  }
};

template <class Derived, class T, class Kind, class... Ps> class SlotRequests<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Slots = SlotRequests<typename Pool::Core>;
  using Slot = FreeSlot<Derived>;
  template <class, class, class...> friend class AsyncAllocation;
  template <class> friend class fastalloc::FreeSlot;
  static_assert(!Pool::abandonable,
                "fastalloc: the function of a request may hold up the end of a MovablePool; let a std::unique_ptr own "
                "the pool, and end its handles first");

  template <class F> struct Node final : RequestNode {
    Node(Pool& p, F&& function) : RequestNode(kind), pool(p), f(std::move(function)) {}
    static void run(RequestNode& node) noexcept {
      auto& self = static_cast<Node&>(node);
      Slot slot(SlotRequests(self.pool), self);
      self.f(slot);
    }
    static void give_back(RequestNode& node) noexcept { SlotRequests(static_cast<Node&>(node).pool).give_back(node); }
    static bool leave_queue(RequestNode& node) noexcept {
      return Slots::leave_queue(static_cast<Node&>(node).pool.core_, node);
    }
    static void destroy(RequestNode const& node) noexcept { delete static_cast<Node const*>(&node); }
    static constexpr RequestNode::Kind kind{&run, &give_back, &leave_queue, &destroy};

    Pool& pool;
    F f;
  };

 public:
  using pool_type = Pool;
  using owner_type = Derived;
  using handle_type = typename Pool::handle_type;

  explicit SlotRequests(Pool& pool) noexcept : pool_(pool) {}

  template <class F> static SlotRequest on_available(Pool& pool, F f) {
    static_assert(std::is_invocable_v<F&, Slot&>,
                  "fastalloc: the function of on_available() is called with the free slot; write "
                  "on_available([&](auto& slot) { if (slot) use(slot.allocate(args...)); })");
    SlotRequests requests(pool);
    SlotRequest request(requests.make_node(std::move(f)));
    requests.enqueue(*request.node_, [] { return true; });
    return request;
  }

  template <class... Args> static auto awaitable(Pool& pool, Args&&... args) {
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    return AsyncAllocation<SlotRequests, NeverStops, Args&&...>(pool, {}, std::forward<Args>(args)...);
  }
#if defined(__cpp_lib_jthread)
  template <class... Args> static auto stoppable(Pool& pool, std::stop_token stop, Args&&... args) {
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    return AsyncAllocation<SlotRequests, std::stop_token, Args&&...>(pool, std::move(stop),
                                                                     std::forward<Args>(args)...);
  }
#endif

 private:
  /// Returns: a slot that is free, or that comes by growth; else none.
  Taken pop() {
    auto& core = pool_.core_;
    Taken taken = core.pop();
    if (taken.slot != nullptr) return taken;
    pool_.open_inline();
    Error error;
    return core.pop_slow(&error, false);
  }
  template <class... Args> handle_type build(Taken taken, Args&&... args) {
    return pool_.build(taken, static_cast<Args&&>(args)...);
  }
  /// For the function of a request.
  template <class... Args> handle_type build_for(RequestNode& node, Args&&... args) {
    static_assert(Pool::template ArgumentCheck<Args...>::done);
    return build(Slots::claim(pool_.core_, node), static_cast<Args&&>(args)...);
  }
  [[noreturn]] FASTALLOC_COLD void fail_without_slot() {
    Error error = pool_.core_.describe(
        ErrorCode::pool_exhausted,
        "the slot of this request holds an object already, or the pool ends; test the slot before allocate()");
    pool_.fail_typed(error);
  }
  void give_back(RequestNode& node) noexcept { pool_.unbuild(Slots::claim(pool_.core_, node), false, false); }
  /// Returns: never null.
  template <class F> [[nodiscard]] RequestNode* make_node(F f) {
    auto* const node = new (std::nothrow) Node<F>(pool_, std::move(f));
    if (node == nullptr) {
      Error error = pool_.core_.describe(ErrorCode::allocation_failed, "no memory for a request", sizeof(Node<F>));
      error.unit = "bytes";
      pool_.fail_typed(error);
    }
    return node;
  }
  template <class Publish> bool enqueue(RequestNode& node, Publish&& publish) {
    pool_.open_inline();
    return Slots::enqueue(pool_.core_, node, publish);
  }

  Pool& pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE
