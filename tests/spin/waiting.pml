// SPDX-License-Identifier: MIT OR Apache-2.0
// Waiting for a slot: PoolCore::take_waiting(), WaitQueue and the end of the pool, which sends those away who still wait.
//
// THREADS threads do up to OPS operations each: a request that may say "none", one that waits, or the return of a slot. At any moment a wait
// may end without a slot: by its time or a stop (the thread leaves), or by an exception or cancellation (it leaves, and gives back what it
// got meanwhile). A patient one ends with a slot alone. Every way to place the slots at the start is tried: in the central list, in a cache, or
// held. A thread that ends gives its cache back. When all threads have ended or stand in the queue the pool may be destroyed.
// What happens under the pool's lock is one step. Caches are simple here, as cache_stealing.pml has the rest: a pop takes two steps, and who
// gathers in between leaves it one slot and closes the cache, so that the owner comes to the lock with it. The waiter lies on the stack of
// its thread, with a mutex; who serves links it into a list and walks that when the lock is free.
//
// Checked:
//   there    nobody touches the waiter of a thread that has gone on
//   gone     nobody takes the lock of a pool that was destroyed
//   holder   no slot is taken while somebody holds it
//   queued   nobody takes a slot out of turn
//   asleep   no patient thread waits at the end while a slot is free or after the pool's end, and none that was served
//   places   at the end, each slot is held, in the central list, or in one cache, once
//
// Faults:
//   BUG_NO_WAIT_FOR_SERVER  who gives up goes on though a server is about to wake it
//   BUG_NEXT_AFTER          the server reads the link of a waiter that it has woken already
//   BUG_STAYS_QUEUED        an exception leaves the waiter in the queue
//   BUG_NO_UNDO             an exception forgets the slot that was handed over meanwhile
//   BUG_NO_LAST_LOOK        the same, when time is up
//   BUG_REOPENS             who leaves opens the caches though others still wait
//   BUG_NO_GATHER           who joins the queue leaves the caches as they are
//   BUG_NO_SERVE            who joins the queue does not look whether slots have come back since it asked
//   BUG_BARGE               requests do not look whether somebody waits
//   BUG_POOL_LEAVES_FIRST   the pool's end does not wait until all have left
#ifndef THREADS
#define THREADS 3
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef OPS
#define OPS 1
#endif

#define NIL 255
#define NOBODY 255
#define DEPOT 0
#define HELD 1
#define CACHED(t) (2 + t)
#define TAKEN 200  // in a waiter's record

byte where[CAPACITY];
byte holder[CAPACITY];
bool open[THREADS];
bool popping[THREADS];  // its top is one lower, and it has not looked at the limit yet
byte closed;
byte inside;
chan queue = [THREADS] of { byte };
byte first_served = NIL;

// The waiters.
byte taken[THREADS];
byte next[THREADS];
bool queued[THREADS];
bool served[THREADS];
bool mutex[THREADS];

// What only the checks know.
bool there[THREADS];
bool waits[THREADS];
bool finished[THREADS];
bool dying;
bool gone;

inline lock() {
  assert(!gone)
}

// hand_over(): the first in the queue is out of it, and first in the list of those that are to be woken.
inline hand_over(slot) {
  queue?w;
  assert(there[w]);
  taken[w] = slot;
  queued[w] = false;
  next[w] = first_served;
  first_served = w;
  w = 0
}

inline serve() {
  for (i : 0 .. CAPACITY - 1) {
    if
    :: where[i] == DEPOT && len(queue) > 0 ->
      assert(holder[i] == NOBODY);
      where[i] = TAKEN;
      hand_over(i)
    :: else
    fi
  }
  i = 0
}

inline empty_cache(thread) {
  for (i : 0 .. CAPACITY - 1) {
    if
    :: where[i] == CACHED(thread) -> where[i] = DEPOT
    :: else
    fi
  }
  i = 0
}

inline gather() {
  for (k : 0 .. THREADS - 1) {
    leaves = popping[k];
    for (i : 0 .. CAPACITY - 1) {
      if
      :: where[i] == CACHED(k) && leaves -> leaves = false
      :: where[i] == CACHED(k) && !leaves -> where[i] = DEPOT
      :: else
      fi
    }
    leaves = false;
    open[k] = false
  }
  i = 0;
  k = 0
}

inline find(place) {
  x = 0;
  do
  :: x < CAPACITY && where[x] != place -> x++
  :: else -> break
  od
}

// The end of a section: the list is this thread's now.
inline unlock() {
  list = first_served;
  first_served = NIL
}

// wake(list)
inline wake() {
  do
  :: atomic { list == NIL -> break }
  :: list != NIL ->
    atomic {
      assert(there[list]);
      w = list;
#ifndef BUG_NEXT_AFTER
      list = next[w]
#endif
    }
    atomic { assert(there[w]); !mutex[w] -> mutex[w] = true }
    atomic { assert(there[w]); served[w] = true }
    atomic { assert(there[w]); mutex[w] = false }
#ifdef BUG_NEXT_AFTER
    atomic { assert(there[w]); list = next[w] }
#endif
    w = 0
  od
}

inline got() {
  assert(holder[x] == NOBODY);
  holder[x] = me;
  where[x] = HELD;
  x = 0
}

proctype Thread(byte me) {
  byte left = OPS, x, i, k, w, list = NIL;
  bool may_wait, patient, thrown, leaves;

next_operation:
  atomic {
    x = 0; may_wait = false; patient = false; thrown = false;
    if
    :: left > 0 && !dying -> left--; goto take
    :: left > 0 && !dying -> left--; may_wait = true; goto take
    :: left > 0 && !dying -> left--; may_wait = true; patient = true; goto take
    :: left > 0 && !dying ->
      left--;
      x = 0;
      do
      :: x < CAPACITY && holder[x] != me -> x++
      :: else -> break
      od;
      if
      :: x < CAPACITY -> goto give
      :: else -> goto end_of_thread
      fi
    :: left == 0 || dying -> goto end_of_thread
    fi
  }

take:
  atomic {
    find(CACHED(me));
    popping[me] = (x < CAPACITY);
    x = 0
  }
  atomic {
    if
    :: popping[me] && open[me] ->
      popping[me] = false;
      assert(len(queue) == 0);
      find(CACHED(me));
      got();
      goto next_operation
    :: else -> popping[me] = false
    fi
  }
  // pop_from_central()
  atomic {
    lock();
#ifndef BUG_BARGE
    if
    :: len(queue) > 0 ->
      empty_cache(me);
      gather();
      serve()
    :: else
    fi;
    if
    :: len(queue) > 0 -> x = CAPACITY
    :: else
#else
    if
    :: true
#endif
      find(CACHED(me));
      if
      :: x == CAPACITY -> find(DEPOT)
      :: else
      fi;
      if
      :: x == CAPACITY -> gather(); serve(); find(DEPOT)
      :: x < CAPACITY && closed == 0 -> open[me] = true
      :: else
      fi
    fi;
    if
    :: x < CAPACITY -> assert(len(queue) == 0); got(); x = NIL
    :: else -> x = 0
    fi;
    unlock()
  }
  wake();
  atomic {
    if
    :: x == NIL || !may_wait -> goto next_operation
    :: else
    fi
  }

  // Queued()
  atomic {
    lock();
    there[me] = true;
    closed++;
#ifndef BUG_NO_GATHER
    gather();
#endif
    taken[me] = NIL;
    served[me] = false;
    queued[me] = true;
    waits[me] = true;
    queue!me;
    inside++;
#ifndef BUG_NO_SERVE
    serve();
#endif
    unlock()
  }
  wake();
end_asleep:
  if
  :: atomic { served[me] && !mutex[me] -> skip }
  :: atomic { !patient -> skip }
  :: atomic { !patient -> thrown = true }
  fi;
  // leave()
  atomic {
#ifdef BUG_STAYS_QUEUED
    if
    :: thrown -> there[me] = false; waits[me] = false; goto next_operation
    :: else
    fi;
#endif
    lock();
    closed--;
#ifdef BUG_REOPENS
    closed = 0;
#endif
    x = queued[me];
    if
    :: queued[me] -> queue??eval(me); queued[me] = false
    :: else
    fi;
    inside--;
    waits[me] = false;
    unlock();
    assert(list == NIL)
  }
#ifndef BUG_NO_WAIT_FOR_SERVER
  if
  :: x == 0 -> atomic { served[me] && !mutex[me] -> skip }
  :: else
  fi;
#endif
  atomic {
    there[me] = false;
    served[me] = false;
    next[me] = NIL;
    x = taken[me];
    taken[me] = NIL;
    if
    :: x == NIL -> goto next_operation
    :: x != NIL && !thrown ->
#ifdef BUG_NO_LAST_LOOK
      if
      :: patient
      :: !patient -> goto next_operation
      fi;
#endif
      got();
      goto next_operation
    :: x != NIL && thrown ->
#ifdef BUG_NO_UNDO
      goto next_operation;
#endif
      got()
    fi;
    x = 0;
    do
    :: x < CAPACITY && holder[x] != me -> x++
    :: else -> break
    od
  }

give:
  atomic {
    holder[x] = NOBODY;
    where[x] = CACHED(me);
    if
    :: open[me] -> goto next_operation
    :: else
    fi
  }
  // The cache is closed or full: it opens where nobody waits, and keeps some.
  atomic {
    lock();
    find(CACHED(me));
    if
    :: x < CAPACITY -> empty_cache(me)
    :: x < CAPACITY && closed == 0
    :: else
    fi;
    open[me] = (closed == 0);
    serve();
    unlock()
  }
  wake();
  goto next_operation;

end_of_thread:
  // end_thread(): nobody is woken here, as nobody is served here.
  atomic {
    if
    :: !dying ->
      lock();
      empty_cache(me);
      open[me] = false;
      serve();
      assert(first_served == NIL)
    :: else
    fi;
    x = 0; i = 0; k = 0; w = 0; list = NIL; left = 0;
    finished[me] = true
  }
}

// ~PoolDepot(). Requires: nobody uses the pool any more, but for those who stand in the queue.
proctype End() {
  byte i, w, list = NIL;
end_wait:
  atomic {
#if THREADS > 2
    (finished[0] || queued[0]) && (finished[1] || queued[1]) && (finished[2] || queued[2]) ->
#else
    (finished[0] || queued[0]) && (finished[1] || queued[1]) ->
#endif
    for (i : 0 .. CAPACITY - 1) {
      assert(len(queue) == 0 || where[i] == HELD)
    }
    i = 0;
    dying = true
  }
  do
  :: atomic {
      lock();
      do
      :: len(queue) > 0 -> hand_over(NIL)
      :: else -> break
      od;
      unlock();
      if
#ifndef BUG_POOL_LEAVES_FIRST
      :: inside == 0 && list == NIL -> gone = true; break
      :: else
#else
      :: list == NIL -> gone = true; break
      :: else
#endif
      fi
    }
    wake();
#ifndef BUG_POOL_LEAVES_FIRST
    inside == 0
#endif
  od
}

init {
  byte i, who;
  atomic {
    for (i : 0 .. THREADS - 1) {
      open[i] = true;
      next[i] = NIL;
      taken[i] = NIL
    }
    for (i : 0 .. CAPACITY - 1) {
      holder[i] = NOBODY;
      select(who : 0 .. 2 * THREADS);
      if
      :: who < 2 * THREADS && who % THREADS > i -> who = 2 * THREADS
      :: else
      fi;
      if
      :: who < THREADS -> holder[i] = who; where[i] = HELD
      :: who >= THREADS && who < 2 * THREADS -> where[i] = CACHED(who - THREADS)
      :: else -> where[i] = DEPOT
      fi
    }
    for (i : 0 .. THREADS - 1) {
      run Thread(i)
    }
    if
    :: run End()
    :: true
    fi;
    i = 0; who = 0
  }
  timeout;
  d_step {
    for (i : 0 .. CAPACITY - 1) {
      assert((where[i] == HELD) == (holder[i] != NOBODY));
      assert(where[i] != TAKEN)
    }
    for (i : 0 .. THREADS - 1) {
      assert(!waits[i] || (queued[i] && !gone));
      who = who + waits[i]
    }
    for (i : 0 .. CAPACITY - 1) {
      assert(who == 0 || where[i] == HELD)
    }
    assert(who == inside && who == closed)
  }
}
