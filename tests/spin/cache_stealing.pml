// SPDX-License-Identifier: MIT OR Apache-2.0
// The caches of ThreadSafePool: each thread keeps free slots in an array of its own and takes and returns them with
// plain stores and loads, without a fence. A thread that finds no slot anywhere else steals from the caches of all
// others; the fences are its to pay for (membarrier).
//
// THREADS threads do up to OPS operations each: a pop that may say "exhausted", a pop that waits for a slot, or the
// push of any slot the thread holds. Every way to place the slots at the start is tried: in the central list, in a cache, or
// held. cache[i].top is written by thread i alone; limit (no pop below it) and end (no push beyond it) only under the
// lock.
//
// The machine is x86: a thread's stores to its cache go through a queue of STORES entries and reach memory later, in
// order; its loads do not wait for them, and see its own stores. Taking the lock waits until the queue is empty, and
// what is stored under the lock is stored at once, as nobody can look before the unlock. membarrier waits, for each
// thread, for a moment at which its queue is empty.
//
// Checked:
//   holder, central  no slot is taken while somebody holds it, nor put into the central list twice
//   saw_full       "exhausted" is said only if at some moment of the call every slot was held, on its way back, or on
//                  its way to another pop that had begun
//   places         at the end, each slot is held, in the central list, or in one cache, once
//   waiters        nobody waits at the end while a slot is free
//
// Faults:
//   BUG_NO_FENCE            no membarrier: the owner's top is still in its queue when the thief reads it
//   BUG_FENCE_FIRST         membarrier before the limits are raised: the same
//   BUG_CHECK_BEFORE_STORE  a pop reads the limit before it stores the top: thief and owner take the same slot
//   BUG_ONE_BY_ONE          caches are closed, searched and opened one after another: "exhausted" with a slot always
//                           free
//   BUG_PUSH_OPEN           only pops are stopped while the caches are searched, pushes are not. A slot comes back to a
//                           cache already searched; then a pop begins elsewhere, hides its slot from the thief and
//                           waits for the lock: "exhausted" with a slot always free
//   BUG_STAYS_CLOSED        under the lock, too, the owner goes by the limit of a closed cache: a pop that the search left
//                           its slot to takes its cache for empty, and the slot is lost
//   BUG_END_BEFORE_TOP      a push reads the end before it stores the top: neither does it see the waiter nor is it
//                           seen
#ifndef THREADS
#define THREADS 3
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef CACHE
#define CACHE 2
#endif
#ifndef STORES
#define STORES 2
#endif

#define BASE 1  // the first index of a cache, so that one below it is a number
#define LAST (BASE + CACHE)
#define CLOSED 255
#define NIL 255
#define NOBODY 255
#define TOP 0  // the address of the top in a queue of stores; the others are indices of slots

typedef Cache {
  byte slot[LAST + 1];
  byte top;
  byte limit;
  byte end
}
Cache cache[THREADS];
chan stores[THREADS] = [STORES] of { byte, byte };

bool locked;
bool central[CAPACITY];
byte waiters;
bool waiting[THREADS];
byte handed[THREADS];

// What only the checks know.
byte holder[CAPACITY];
byte returner[CAPACITY];  // whose push of the slot has not returned yet
byte popping;
bool in_pop[THREADS];
bool saw_full[THREADS];
byte places[CAPACITY];

// The queues: the first entry of any may reach memory at any time.
inline drain(thread) {
  stores[thread]?address, value;
  if
  :: address == TOP -> cache[thread].top = value
  :: else -> cache[thread].slot[address] = value
  fi;
  address = 0;
  value = 0
}

proctype Memory() {
  byte address, value;
end_idle:
  do
  :: atomic { nempty(stores[0]) -> drain(0) }
  :: atomic { nempty(stores[1]) -> drain(1) }
#if THREADS > 2
  :: atomic { nempty(stores[2]) -> drain(2) }
#endif
  od
}

inline lock() {
  !locked && empty(stores[me]) -> locked = true
}

// From now on one slot more may be on its way to somebody.
inline begin_pop() {
  popping++;
  in_pop[me] = true;
  saw_full[me] = false;
  for (i : 0 .. CAPACITY - 1) {
    k = k + (holder[i] != NOBODY || returner[i] != NOBODY)
  }
  if
  :: k + popping - 1 >= CAPACITY ->
    for (i : 0 .. THREADS - 1) {
      saw_full[i] = in_pop[i]
    }
  :: else
  fi;
  i = 0;
  k = 0
}

inline end_pop() {
  popping--;
  in_pop[me] = false;
  saw_full[me] = false
}

inline put_into_central(owner, index) {
  i = cache[owner].slot[index];
  assert(!central[i]);
  central[i] = true;
  i = 0
}

inline pop_from_central() {
  x = 0;
  do
  :: x == CAPACITY -> x = NIL; break
  :: x < CAPACITY && central[x] -> central[x] = false; break
  :: x < CAPACITY && !central[x] -> x++
  od
}

inline set_end(thread) {
  if
  :: waiters == 0 -> cache[thread].end = LAST
  :: else -> cache[thread].end = 0
  fi
}

inline reset_own() {
  top = BASE;
  cache[me].top = BASE;
  cache[me].limit = BASE;
  set_end(me)
}

inline close_to_pops() {
  atomic { saved[other] = cache[other].limit; cache[other].limit = CLOSED }
}

inline close_to_pushes() {
  cache[other].end = 0
}

inline search() {
  k = cache[other].top;
  do
  :: saved[other] < k ->
    atomic { put_into_central(other, saved[other]); saved[other]++ }
  :: else -> break
  od;
  k = 0
}

inline open() {
#ifdef BUG_STAYS_CLOSED
  if
  :: waiting[me]
  :: else -> cache[other].limit = saved[other]
  fi;
#else
  cache[other].limit = saved[other];
#endif
  atomic { saved[other] = 0; set_end(other) }
}

#define EACH_OTHER(step) \
  other = 0; \
  do \
  :: atomic { other < THREADS && other == me -> other++ } \
  :: other < THREADS && other != me -> step; other++ \
  :: atomic { other == THREADS -> other = 0; break } \
  od

// What only the holder of the lock can see is done in one step with the lock.
proctype Thread(byte me) {
  byte left = OPS, top = cache[me].top, bound, x, i, k, other;
  byte saved[THREADS];
  byte mine[LAST + 1];  // the own slots as the thread sees them, before they reach memory
  bool patient;
  atomic {
    for (i : BASE .. LAST) {
      mine[i] = cache[me].slot[i]
    }
  }

next_operation:
  atomic {
    x = 0; i = 0; k = 0; bound = 0;
    if
    :: left > 0 -> left--; patient = false; begin_pop(); goto pop
    :: left > 0 -> left--; patient = true; begin_pop(); goto pop
    :: left > 0 ->
      left--;
      select(x : 0 .. CAPACITY - 1);
      if
      :: holder[x] == me -> holder[x] = NOBODY; returner[x] = me; goto push
      :: else -> goto finished
      fi
    :: left == 0 -> goto finished
    fi
  }

pop:
#ifdef BUG_CHECK_BEFORE_STORE
  bound = cache[me].limit;
#endif
  atomic { nfull(stores[me]) -> top--; stores[me]!TOP, top }
  atomic {
#ifndef BUG_CHECK_BEFORE_STORE
    bound = cache[me].limit;
#endif
    if
    :: top >= bound -> x = mine[top]; goto popped
    :: else -> bound = 0
    fi
  }
  // Empty, or closed by a thief: the step back is undone before the lock is taken, so the thief may still have the slot.
  atomic { nfull(stores[me]) -> top++; stores[me]!TOP, top }
  atomic {
    lock();
    if
    :: top > cache[me].limit ->
      top--;
      cache[me].top = top;
      x = cache[me].slot[top];
      locked = false;
      goto popped
    :: else
    fi;
    reset_own();
    pop_from_central();
    if
    :: x != NIL -> locked = false; goto popped
    :: else -> x = 0
    fi
  }

#ifdef BUG_ONE_BY_ONE
  if
  :: !patient ->
    EACH_OTHER(close_to_pops(); close_to_pushes(); empty(stores[other]); search(); open());
    goto searched
  :: else
  fi;
#endif
#ifdef BUG_FENCE_FIRST
  EACH_OTHER(empty(stores[other]));
#endif
  EACH_OTHER(close_to_pops());
#ifdef BUG_PUSH_OPEN
  if
  :: patient -> EACH_OTHER(close_to_pushes())
  :: else
  fi;
#else
  EACH_OTHER(close_to_pushes());
#endif
#if !defined(BUG_NO_FENCE) && !defined(BUG_FENCE_FIRST)
  EACH_OTHER(empty(stores[other]));
#endif
  EACH_OTHER(search());
searched:
  atomic {
    pop_from_central();
    if
    :: x == NIL && patient -> waiters++; waiting[me] = true
    :: else
    fi
  }
#ifdef BUG_ONE_BY_ONE
  if
  :: patient -> EACH_OTHER(open())
  :: else
  fi;
#else
  EACH_OTHER(open());
#endif
  atomic {
    locked = false;
    if
    :: x != NIL -> goto popped
    :: x == NIL && patient
    :: x == NIL && !patient ->
      assert(saw_full[me]);
      end_pop();
      goto next_operation
    fi
  }

end_asleep:
  atomic { handed[me] != NIL -> x = handed[me]; handed[me] = NIL }

popped:
  atomic {
    assert(holder[x] == NOBODY);
    holder[x] = me;
    returner[x] = NOBODY;
    end_pop();
    goto next_operation
  }

push:
#ifdef BUG_END_BEFORE_TOP
  bound = cache[me].end;
#endif
  atomic { nfull(stores[me]) -> stores[me]!top, x; mine[top] = x; top++ }
  atomic { nfull(stores[me]) -> stores[me]!TOP, top }
  atomic {
#ifndef BUG_END_BEFORE_TOP
    bound = cache[me].end;
#endif
    if
    :: top > bound -> bound = 0
    :: else -> goto pushed
    fi
  }
  atomic {
    lock();
    k = cache[me].limit;
    do
    :: k < top -> put_into_central(me, k); k++
    :: else -> break
    od;
    i = x;
    do
    :: waiters > 0 ->
      pop_from_central();
      if
      :: x == NIL -> break
      :: else
      fi;
      select(k : 0 .. THREADS - 1);
      do
      :: waiting[k] -> break
      :: else -> k = (k + 1) % THREADS
      od;
      handed[k] = x;
      waiting[k] = false;
      waiters--
    :: else -> break
    od;
    x = i;
    reset_own();
    locked = false
  }

pushed:
  atomic {
    if
    :: returner[x] == me -> returner[x] = NOBODY
    :: else
    fi;
    goto next_operation
  };

finished:
  skip
}

init {
  byte i, k, who;
  atomic {
    for (i : 0 .. THREADS - 1) {
      cache[i].top = BASE;
      cache[i].limit = BASE;
      cache[i].end = LAST;
      handed[i] = NIL
    }
    // Place each slot: held by a thread, in its cache, or in the central list. Threads are alike: slot i goes to one of the
    // first i + 1.
    for (i : 0 .. CAPACITY - 1) {
      holder[i] = NOBODY;
      returner[i] = NOBODY;
      select(who : 0 .. 2 * THREADS);
      if
      :: who < 2 * THREADS && who % THREADS > i -> who = 2 * THREADS
      :: else
      fi;
      if
      :: who < THREADS -> holder[i] = who
      :: who >= THREADS && who < 2 * THREADS && cache[who - THREADS].top < LAST ->
        cache[who - THREADS].slot[cache[who - THREADS].top] = i;
        cache[who - THREADS].top++
      :: else -> central[i] = true
      fi
    }
    run Memory();
    for (i : 0 .. THREADS - 1) {
      run Thread(i)
    }
    i = 0; k = 0; who = 0
  }
  timeout;  // nothing else can move
  d_step {
    for (i : 0 .. THREADS - 1) {
      k = cache[i].limit;
      do
      :: k < cache[i].top -> places[cache[i].slot[k]]++; k++
      :: else -> break
      od
    }
    for (i : 0 .. CAPACITY - 1) {
      assert(places[i] + central[i] + (holder[i] != NOBODY) == 1);
      assert(waiters == 0 || holder[i] != NOBODY)
    }
    assert(!locked)
  }
}
