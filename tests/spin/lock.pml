// SPDX-License-Identifier: MIT OR Apache-2.0
// AdaptiveLock (lock/adaptive_lock.hpp): threads spin, sleep, are woken in FIFO order, and get their turn.
//
//   state    0 free   1 held   2 held, and a thread may be asleep   3 held, and a thread lost too often
//            4 left to the threads that slept
//
// THREADS threads take the lock OPS times each. A thread tests it once or gives up spinning; one that was woken WAKES
// times in vain stores 3. With FORKED the lock is held as in the child of a fork: state 3, and no thread asleep.
//
// Checked:
//   inside      one thread holds the lock at a time
//   done        no wake-up is lost: all threads come to their end
//   due         once a thread stored 3, the next owner is a thread that has slept, or a thief; not always the one that
//               stored 3
// Each step is one access to the state; the kernel compares the state and queues the thread in one step.
//
// Faults:
//   BUG_FORGETS_SLEEPERS  a thread that slept stores 1 when it takes the lock
//   BUG_NO_WAKE           who leaves the lock to those that slept wakes none of them
//   BUG_EXCHANGE          unlock() makes the lock free before it looks whether a thread is due
//   BUG_NO_THEFT          threads that have not slept wait without end for those that have
//   BUG_WAKES_FIRST       unlock() wakes a thread, and then makes the lock free
//   BUG_LATE_STORE        who leaves the lock to those that slept looks for them before the store is visible: a plain
//                         store on x86, and the count that libstdc++'s notify_one() reads
//   BUG_PLAIN_UNLOCK      unlock() reads the state and stores, in two steps
#ifndef THREADS
#define THREADS 3
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef WAKES
#define WAKES 1
#endif

byte state = 0;
byte inside = 0;
byte done = 0;
bool due = false;
chan asleep = [THREADS] of { byte };
bool woken[THREADS];

inline wake_one() {
  atomic {
    if
    :: len(asleep) > 0 -> asleep ? w; woken[w] = true
    :: else
    fi;
    w = 0
  }
}

// `thread` has the lock.
#define enter(slept)  assert(inside == 0); inside++; assert(slept || !due); due = false

proctype Thread(byte me) {
  byte left = OPS, seen, wakes, wanted, w;

next:
  if
  :: left == 0 -> goto ended
  :: else -> left--
  fi;
  // try_lock(), once or several times
  if
  :: atomic { state == 0 -> state = 1; enter(false); goto locked }
  :: true
  fi;
look:
  seen = state;
  if
  :: seen == 0 || (seen == 4 && wakes != 0) ->
    atomic {
      if
#ifdef BUG_FORGETS_SLEEPERS
      :: state == seen -> state = 1; enter(wakes != 0 || seen == 0); goto locked
#else
      :: state == seen -> state = 2; enter(wakes != 0 || seen == 0); goto locked
#endif
      :: else -> goto look
      fi
    }
  :: seen == 4 && wakes == 0 ->
    // Lets others run. When that did not help, takes it.
    if
    :: state != 4 -> goto look
#if defined(THEFT) && !defined(BUG_NO_THEFT)
    :: atomic { state == 4 -> state = 2; enter(true); goto locked }
#endif
    fi
  :: else ->
    wanted = (wakes >= WAKES -> 3 : 2);
    if
    :: seen < wanted ->
      atomic {
        if
        :: state == seen -> state = wanted; due = due || wanted == 3; seen = wanted
        :: else -> goto look
        fi
      }
    :: else
    fi;
    // The kernel goes to sleep if the state is `seen`; wait() sleeps again if it still is, or is again.
sleep:
    atomic {
      if
      :: state == seen -> woken[me] = false; asleep ! me
      :: else -> goto up
      fi
    }
    woken[me];
    goto sleep;
up:
    atomic { wakes = (wakes < WAKES -> wakes + 1 : wakes); goto look }
  fi;

locked:
  atomic { wakes = 0; seen = 0; wanted = 0 }
  inside--;
  // unlock()
#ifdef BUG_EXCHANGE
  atomic { seen = state; state = 0 }
  if
  :: seen == 3 -> atomic { if :: state == 0 -> state = 4 :: else fi }
  :: else
  fi;
  if
  :: seen != 1 -> wake_one()
  :: else
  fi;
#else
#ifdef BUG_PLAIN_UNLOCK
  seen = state;
  if
  :: seen == 1 -> state = 0
  :: seen == 2 -> state = 0; wake_one()
  :: seen == 3 -> state = 4; wake_one()
  fi;
#else
  atomic {
    if
    :: state == 1 -> state = 0; seen = 0; goto next
    :: else
    fi
  }
#ifdef BUG_WAKES_FIRST
  wake_one();
#endif
  atomic {
    if
    :: state == 2 -> state = 0
    :: else -> assert(state == 3); seen = 1
    fi
  }
#ifdef BUG_LATE_STORE
  if
  :: seen == 1 -> wake_one(); state = 4; seen = 0; goto next
  :: else
  fi;
#else
  if
  :: seen == 1 -> state = 4
  :: else
  fi;
#endif
#ifdef BUG_NO_WAKE
  if
  :: seen != 1 -> wake_one()
  :: else
  fi;
#else
#ifndef BUG_WAKES_FIRST
  wake_one();
#endif
#endif
#endif
#endif
  seen = 0;
  goto next;

ended:
  done++
}

// Holds the lock in the child of a fork.
proctype Forker() {
  byte w;
  state = 4;
  wake_one()
}

init {
  byte i;
  atomic {
#ifdef FORKED
    state = 3;
    run Forker();
#endif
    for (i : 0 .. THREADS - 1) {
      run Thread(i)
    }
    i = 0
  }
  atomic {
    done == THREADS || timeout;
    assert(done == THREADS)
  }
}
