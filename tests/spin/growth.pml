// SPDX-License-Identifier: MIT OR Apache-2.0
// Growth up to max_capacity, outside the pool's lock: PoolDepot::grow(), with_memory(), reserve() and release_free_blocks().
//
// THREADS threads do up to OPS operations each: a request, which grows the pool when it finds no slot and may fail at the maximum, or the
// return of a slot. A helper calls reserve() and shrink_to_fit(), HELPS times in all. The pool has START slots at the start, in the central list.
// Growth adds blocks of one or two slots, and a directory each time. What happens under the lock is one step. Caches are simple here,
// as cache_stealing.pml has the rest: a batch may bring a slot more into the cache of the thread, and gather() empties all and closes them. With
// ROOMY a pool rather grows than gathers, as pools of size classes do; then gather() comes at the maximum only.
//
// Checked:
//   saw_full  a request fails only if at some moment of it all slots of max_capacity were in use
//   at_hand   a request adds a block only while no slot is at hand
//   total     the capacity never exceeds the maximum
//   inside    one thread at a time is with the storage
//   acquired  at the end the storage has back what the pool does not hold
//
// Faults:
//   BUG_NO_COLLECT      at the maximum the caches are not looked at again: others filled theirs meanwhile
//   BUG_CHANGED_FAILS   a pool that others made larger or smaller meanwhile is taken for one that cannot grow
//   BUG_NO_SECOND_LOOK  who had to wait for its turn does not look for slots again
//   BUG_STALE_TOTAL     the room up to the maximum is that before the turn
//   BUG_NO_TURN         two threads grow at a time
//   BUG_KEEPS_REST      memory that is not needed any more stays in the purse
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef HELPS
#define HELPS 1
#endif
#ifndef MAX
#define MAX 2
#endif
#ifndef START
#define START 1
#endif

#define ABSENT 0
#define DEPOT 1
#define HELD(t) (2 + t)
#define CACHED(t) (20 + t)
#define NO_BLOCK 255

byte where[MAX];
byte block[MAX];  // the first slot of its block
byte total;
byte directory;  // slots that it has room for; 0: none
bool open[THREADS];
bool turn;

// What only the checks know.
byte acquired;  // slots of blocks, and directories
byte inside;
byte held;
bool asking[THREADS];
bool saw_full[THREADS];
byte done;

inline count_at_hand() {
  at_hand = 0;
  for (i : 0 .. MAX - 1) {
    at_hand = at_hand + (where[i] == DEPOT)
  }
  i = 0
}

inline gather() {
  for (i : 0 .. MAX - 1) {
    if
    :: where[i] >= CACHED(0) -> where[i] = DEPOT
    :: else
    fi
  }
  for (i : 0 .. THREADS - 1) {
    open[i] = false
  }
  i = 0
}

inline got(slot) {
  where[slot] = HELD(me);
  held++;
  if
  :: held == MAX ->
    for (i : 0 .. THREADS - 1) {
      saw_full[i] = asking[i]
    }
  :: else
  fi;
  asking[me] = false;
  saw_full[me] = false;
  i = 0;
  x = 0
}

// The first slot that is where it is asked for, or MAX.
inline find(place) {
  x = 0;
  do
  :: x < MAX && where[x] != place -> x++
  :: else -> break
  od
}

inline take_turn() {
#ifdef BUG_NO_TURN
  skip
#else
  atomic { !turn -> turn = true }
#endif
}

inline with_storage() {
  atomic { inside++; assert(inside == 1) }
  inside--
}

// add(size, purse): blocks first, then the directory; the old one goes to the purse.
inline add() {
  if
  :: !purse_block[size] -> wanted_block = size
  :: purse_block[size] && !purse_directory[total + size] -> wanted_directory = total + size
  :: else ->
    purse_block[size] = false;
    purse_directory[total + size] = false;
    if
    :: directory != 0 -> assert(!purse_directory[directory]); purse_directory[directory] = true
    :: else
    fi;
    directory = total + size;
    total = total + size;
    assert(total <= MAX);
    first = NO_BLOCK;
    for (i : 0 .. MAX - 1) {
      if
      :: where[i] == ABSENT && size > 0 ->
        if
        :: first == NO_BLOCK -> first = i
        :: else
        fi;
        where[i] = DEPOT;
        block[i] = first;
        size--
      :: else
      fi
    }
    assert(size == 0);
    i = 0;
    first = 0
  fi
}

// fill(): acquires what is wanted, without the lock.
inline fill() {
  with_storage();
  atomic {
    if
    :: wanted_block != 0 -> purse_block[wanted_block] = true; acquired = acquired + wanted_block
    :: else -> purse_directory[wanted_directory] = true; acquired++
    fi;
    wanted_block = 0;
    wanted_directory = 0
  }
}

inline empty_purse() {
#ifndef BUG_KEEPS_REST
  if
  :: atomic {
      purse_block[1] || purse_block[2] || purse_directory[0] || purse_directory[1] || purse_directory[2] || purse_directory[MAX] ->
      skip
    }
    with_storage();
    atomic {
      acquired = acquired - purse_block[1] - 2 * purse_block[2];
      for (i : 0 .. MAX + 1) {
        acquired = acquired - purse_directory[i];
        purse_directory[i] = false
      }
      i = 0;
      purse_block[1] = false;
      purse_block[2] = false
    }
  :: else
  fi;
#endif
  turn = false
}

#define PURSE \
  bool purse_block[3]; \
  bool purse_directory[MAX + 2]; \
  byte wanted_block, wanted_directory

proctype Thread(byte me) {
  byte left = OPS, x, i, current, grow_by, size, at_hand, first;
  bool made;
  PURSE;

next_operation:
  atomic {
    x = 0; i = 0; current = 0; grow_by = 0; at_hand = 0; made = false;
    if
    :: left > 0 -> left--; asking[me] = true; saw_full[me] = (held == MAX); goto take
    :: left > 0 ->
      left--;
      find(HELD(me));
      if
      :: x < MAX -> goto give
      :: else -> goto finished
      fi
    :: left == 0 -> goto finished
    fi
  }

take:
  atomic {
    find(CACHED(me));
    if
    :: x < MAX -> got(x); goto next_operation
    :: else
    fi
  }
take_slow:
  atomic {
    find(CACHED(me));
    if
    :: x < MAX -> got(x); goto next_operation
    :: else
    fi;
    open[me] = true;
    find(DEPOT);
#ifndef ROOMY
    if
    :: x == MAX -> gather(); find(DEPOT)
    :: else
    fi;
#endif
    if
    :: x < MAX ->
      got(x);
      if
      :: open[me] ->
        find(DEPOT);
        if
        :: x < MAX -> where[x] = CACHED(me)
        :: true
        fi
      :: else
      fi;
      goto next_operation
    :: else -> x = 0
    fi
  }

  // grow(): the growth function is called without a lock.
  current = total;
  select(grow_by : 1 .. 2);
  take_turn();
look:
  atomic {
    count_at_hand();
#ifndef BUG_NO_SECOND_LOOK
    if
    :: at_hand > 0 -> made = true; goto rest
    :: else
    fi;
#endif
#if !defined(BUG_STALE_TOTAL) && !defined(BUG_NO_SECOND_LOOK)
    if
#ifdef BUG_CHANGED_FAILS
    :: total != current -> made = false; goto rest
#else
    :: total != current -> made = true; goto rest
#endif
    :: else
    fi;
#endif
#ifndef BUG_STALE_TOTAL
    current = total;
#endif
    if
    :: current == MAX ->
#ifndef BUG_NO_COLLECT
      gather();
      count_at_hand();
      made = at_hand > 0;
#endif
      goto rest
    :: else
    fi;
    size = (grow_by < MAX - current -> grow_by : MAX - current);
    add();
    if
    :: wanted_block == 0 && wanted_directory == 0 ->
      assert(at_hand == 0);
      made = true;
      goto rest
    :: else -> at_hand = 0; size = 0
    fi
  }
  fill();
  goto look;

rest:
  at_hand = 0;
  empty_purse();
  atomic {
    if
    :: made -> made = false; goto take_slow
    :: else ->
      assert(saw_full[me]);
      asking[me] = false;
      saw_full[me] = false;
      goto next_operation
    fi
  }

give:
  atomic {
    held--;
    if
    :: open[me] -> where[x] = CACHED(me); goto next_operation
    :: !open[me] -> where[x] = CACHED(me)  // and to the lock
    fi
  }
  atomic {
    // It opens the cache again and keeps the half.
    open[me] = true;
    if
    :: where[x] == CACHED(me) -> where[x] = DEPOT
    :: where[x] == CACHED(me)
    :: else
    fi;
    goto next_operation
  }

finished:
  done++
}

proctype Helper() {
  byte left = HELPS, i, size, first, at_hand, slots, gone, b;
  PURSE;

next_operation:
  atomic {
    i = 0; at_hand = 0; slots = 0;
    if
    :: left > 0 -> left--; select(slots : 1 .. MAX); goto reserve
    :: left > 0 -> left--; goto shrink
    :: left == 0 -> goto finished
    fi
  }

reserve:
  take_turn();
look:
  atomic {
    if
    :: slots <= total -> goto rest
    :: else -> size = slots - total
    fi;
    if
    :: size > 2 -> size = 2
    :: else
    fi;
    add();
    if
    :: wanted_block == 0 && wanted_directory == 0 -> goto rest
    :: else -> size = 0
    fi
  }
  fill();
  goto look;

shrink:
  atomic {
    gather();
    for (b : 0 .. MAX - 1) {
      size = 0;
      at_hand = 0;
      for (i : b .. MAX - 1) {
        size = size + (where[i] != ABSENT && block[i] == b);
        at_hand = at_hand + (where[i] == DEPOT && block[i] == b)
      }
      if
      :: size != 0 && at_hand == size ->
        for (i : b .. MAX - 1) {
          if
          :: where[i] != ABSENT && block[i] == b -> where[i] = ABSENT; block[i] = 0; total--; gone++
          :: else
          fi
        }
      :: else
      fi
    }
    b = 0; i = 0; size = 0; at_hand = 0
  }
  if
  :: gone == 0 -> goto next_operation
  :: else
  fi;
  take_turn();
trim:
  // The directory gets its exact size, where it has another one.
  atomic {
    if
    :: directory == total -> goto trimmed
    :: directory != total && total == 0 -> purse_directory[directory] = true; directory = 0; goto trimmed
    :: directory != total && total != 0 && purse_directory[total] ->
      purse_directory[total] = false;
      purse_directory[directory] = true;
      directory = total;
      goto trimmed
    :: else -> wanted_directory = total
    fi
  }
  fill();
  goto trim;
trimmed:
  empty_purse();
  take_turn();
  with_storage();
  atomic { acquired = acquired - gone; gone = 0; turn = false; goto next_operation };

rest:
  empty_purse();
  goto next_operation;

finished:
  done++
}

init {
  byte i, t;
  atomic {
    total = START;
    directory = START;
    acquired = START + (START != 0);
    for (i : 0 .. MAX - 1) {
      where[i] = (i < START -> DEPOT : ABSENT);
      block[i] = (i < START -> i : 0)
    }
    for (t : 0 .. THREADS - 1) {
      run Thread(t)
    }
    run Helper();
    i = 0; t = 0
  }
  d_step {
    done == THREADS + 1;
    t = (directory != 0);
    for (i : 0 .. MAX - 1) {
      t = t + (where[i] != ABSENT)
    }
    assert(t == total + (directory != 0));
    assert(acquired == t);
    assert(!turn)
  }
}
