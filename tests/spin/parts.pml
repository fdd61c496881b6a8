// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadParts: threads attach to pools, find their parts through their tables, and end, while pools end.
//
// THREADS threads live LIVES times and do up to USES uses of any pool in a life; each pool is built and destroyed at most BUILDS times, at the
// same address. Nobody uses a pool that is being destroyed; but threads that are ending may still have parts of it. Records of threads are used
// again. Tables grow from one entry on; all pools have one first entry in them. What happens under a lock is one step, but where somebody looks
// without it. A part that was freed is not used again.
//
// Checked:
//   found      a lookup finds a part of this pool, of this thread, that is there
//   freed      nobody touches a part that was freed, and none is freed twice
//   built      nobody touches a pool, nor its lock, that has been destroyed
//   pool       a thread that attaches has no entry of the pool
//   lost       at the end all parts are gone with their pools, or in a list of a pool; and all records are free
//
// Faults:
//   BUG_ENTRY_KEPT      a pool's end leaves its entries in the tables: the next pool at its address finds them
//   BUG_NO_LEAVING      a part that a thread's end gives back is not marked: the pool's end takes it for that of a live thread
//   BUG_TAKES_LEAVING   such a part serves another thread already
//   BUG_NO_RECHECK      the pool's end does not look at the owner again under the record's lock: the thread has left the part meanwhile
//   BUG_TABLE_UNLOCKED  a table grows without the record's lock: an entry that a pool's end clears is copied before
//   BUG_UNUSED_AGAIN    a pool's end makes its entries unused: a search for another pool ends there
//   BUG_SWEEPS_ALL      entries of pools that have ended are unused again even before entries in use
#ifndef THREADS
#define THREADS 2
#endif
#ifndef LIVES
#define LIVES 2
#endif
#ifndef USES
#define USES 1
#endif
#ifndef POOLS
#define POOLS 1
#endif
#ifndef BUILDS
#define BUILDS 2
#endif
#ifndef PARTS
#define PARTS 6
#endif

#define ENTRIES 4
#define NIL 255
#define NO_THREAD 100
#define LEAVING 101
#define ORPHANED 102

// Of pools.
bool built[POOLS];
byte builds[POOLS];
byte users[POOLS];
bool locked[POOLS];

// Of parts: `list` is 0 in no list, 1 in first_, 2 among the spares.
byte owner[PARTS];
byte list[PARTS];
byte part_of[PARTS];
bool freed[PARTS];
byte parts;

// Of records. An entry without a part was never used, and a search ends there; one without a pool was.
typedef Record {
  byte pool[ENTRIES];
  byte part[ENTRIES];
  byte entries;
  bool taken
}
Record record[THREADS];

byte done;

#define touch_pool(p) assert(built[p])
#define touch(x) assert(!freed[x])

// PartTable::find(), under the record's lock: x is the entry, or `entries`.
inline find(r) {
  x = 0;
  do
  :: x < record[r].entries && record[r].part[x] != NIL && record[r].pool[x] != p -> x++
  :: x < record[r].entries && record[r].part[x] != NIL && record[r].pool[x] == p -> break
  :: x == record[r].entries -> break
  :: x < record[r].entries && record[r].part[x] == NIL -> x = record[r].entries
  od
}

proctype Thread() {
  byte left, lives = LIVES, me = NIL, p, x, i, n;
  byte copy[ENTRIES];  // of `pool`, when a table grows

begin:
  left = USES;

next_use:
  atomic {
    p = 0; x = 0; i = 0; n = 0;
    if
    :: left > 0 ->
      left--;
      select(p : 0 .. POOLS - 1);
      if
      :: built[p] && users[p] != NIL -> users[p]++
      :: else -> goto end_of_thread
      fi
    :: goto end_of_thread
    fi
  }

  // mine(), entry by entry
  if
  :: me == NIL -> x = NIL
  :: else ->
    do
    :: atomic { i < record[me].entries && record[me].part[i] != NIL && record[me].pool[i] != p -> i++ }
    :: atomic { i < record[me].entries && record[me].part[i] != NIL && record[me].pool[i] == p -> x = record[me].part[i]; break }
    :: atomic { i == record[me].entries -> x = NIL; break }
    :: atomic { i < record[me].entries && record[me].part[i] == NIL -> x = NIL; break }
    od
  fi;
  atomic {
    i = 0;
    if
    :: x != NIL ->
      touch(x);
      assert(part_of[x] == p && owner[x] == me && list[x] == 1);
      goto used
    :: else -> x = 0
    fi
  }

  // attach(): record_of_thread(), make_room(), take_part()
  atomic {
    if
    :: me == NIL ->
      me = 0;
      do
      :: record[me].taken -> me++
      :: else -> break
      od;
      record[me].taken = true;
      assert(record[me].entries == 1)
    :: else
    fi
  }
  // One entry at least stays unused.
  atomic {
    n = 0;
    for (i : 0 .. ENTRIES - 1) {
      n = (record[me].part[i] != NIL -> n + 1 : n)
    }
    if
    :: n + 1 < record[me].entries -> n = 0
    :: else ->
      // sweep()
      i = record[me].entries;
      do
      :: i > 0 ->
        i--;
        if
#ifdef BUG_SWEEPS_ALL
        :: record[me].pool[i] == NIL && record[me].part[i] != NIL -> record[me].part[i] = NIL; n--
        :: else
#else
        :: record[me].pool[i] == NIL && record[me].part[i] != NIL && record[me].part[(i + 1) % record[me].entries] == NIL ->
          record[me].part[i] = NIL;
          n--
        :: else
#endif
        fi
      :: else -> break
      od;
      n = (n + 1 < record[me].entries -> 0 : 1)
    fi;
    i = 0
  }
  if
  :: n == 1 ->
    n = 0;
#ifdef BUG_TABLE_UNLOCKED
    atomic {
      for (i : 0 .. ENTRIES - 1) {
        copy[i] = record[me].pool[i]
      }
      i = 0
    }
#endif
    // The entries of pools go to a table of twice the size, or of the same.
    atomic {
      for (i : 0 .. ENTRIES - 1) {
#ifndef BUG_TABLE_UNLOCKED
        copy[i] = record[me].pool[i];
#endif
        x = (copy[i] == NIL -> NIL : record[me].part[i]);
        record[me].pool[i] = NIL;
        record[me].part[i] = NIL;
        if
        :: x != NIL ->
          record[me].pool[n] = copy[i];
          record[me].part[n] = x;
          n++
        :: else
        fi;
        copy[i] = 0
      }
      record[me].entries = (record[me].entries < ENTRIES -> 2 * record[me].entries : ENTRIES);
      x = 0; i = 0; n = 0
    }
  :: else -> n = 0
  fi;
  atomic {
    !locked[p] ->
    touch_pool(p);
    x = 0;
    do
#ifdef BUG_TAKES_LEAVING
    :: x < parts && part_of[x] == p && list[x] == 2 && !freed[x] -> break
    :: x < parts && !(part_of[x] == p && list[x] == 2 && !freed[x]) -> x++
#else
    :: x < parts && part_of[x] == p && list[x] == 2 && owner[x] == NO_THREAD && !freed[x] -> break
    :: x < parts && !(part_of[x] == p && list[x] == 2 && owner[x] == NO_THREAD && !freed[x]) -> x++
#endif
    :: x == parts ->
      assert(parts < PARTS);
      parts++;
      part_of[x] = p;
      break
    od;
    owner[x] = ORPHANED;
    list[x] = 1
  }
  atomic {
    touch(x);
    for (i : 0 .. ENTRIES - 1) {
      assert(record[me].pool[i] != p)
    }
    owner[x] = me;
    i = 0;
    do
    :: record[me].pool[i] != NIL -> i++
    :: else -> break
    od;
    record[me].part[i] = x;
    record[me].pool[i] = p
  }

used:
  atomic { touch_pool(p); users[p]--; x = 0; i = 0; goto next_use };

end_of_thread:
  if
  :: me == NIL -> goto ended
  :: else -> i = 0
  fi;
  do
  :: i < record[me].entries ->
    atomic { x = record[me].part[i]; n = 0 }
    // Under the record's lock.
    atomic {
      p = record[me].pool[i];
      record[me].pool[i] = NIL;
      if
      :: p == NIL -> i++
      :: else ->
#ifndef BUG_NO_LEAVING
        touch(x);
        owner[x] = LEAVING;
#endif
        n = 1
      fi
    }
    if
    :: n == 1 ->
      atomic { !locked[p] -> touch_pool(p); locked[p] = true }
      atomic { touch(x); assert(list[x] == 1); list[x] = 2 }
      atomic { touch_pool(p); locked[p] = false }
      atomic { touch(x); owner[x] = NO_THREAD }
      i++
    :: else
    fi
  :: else -> break
  od;
  atomic {
    // The table is gone, then the record is free.
    for (i : 0 .. ENTRIES - 1) {
      assert(record[me].pool[i] == NIL);
      record[me].part[i] = NIL
    }
    record[me].entries = 1
  }
  record[me].taken = false;

ended:
  atomic {
    me = NIL; p = 0; x = 0; i = 0; n = 0;
    lives--;
    if
    :: lives > 0 -> goto begin
    :: else -> done++
    fi
  }
}

// Builds and destroys pools: detach_all().
proctype Pools() {
  byte p, x, o, i;
  bool free;

next:
  atomic {
    p = 0; x = 0; o = 0; i = 0;
    select(p : 0 .. POOLS - 1);
    if
    :: builds[p] < BUILDS && !built[p] -> builds[p]++; built[p] = true; goto next
    :: built[p] && users[p] == 0 -> users[p] = NIL  // nobody uses it from here on
    :: goto finished
    fi
  }
next_part:
  atomic {
    !locked[p] ->
    x = 0;
    do
    :: x < parts && part_of[x] == p && list[x] == 1 && !freed[x] -> break
    :: x < parts && !(part_of[x] == p && list[x] == 1 && !freed[x]) -> x++
    :: x == parts -> goto spares
    od;
    o = owner[x]
  }
  if
  :: o < NO_THREAD ->
    // Under the record's lock.
    atomic {
      free = false;
#ifdef BUG_NO_RECHECK
      if
      :: true ->
#else
      if
      :: owner[x] == o ->
#endif
#ifndef BUG_ENTRY_KEPT
        i = x;
        find(o);
        if
        :: x < record[o].entries ->
          record[o].pool[x] = NIL;
#ifdef BUG_UNUSED_AGAIN
          record[o].part[x] = NIL
#endif
        :: else
        fi;
        x = i;
        i = 0;
#endif
        owner[x] = NO_THREAD;
        free = true
#ifndef BUG_NO_RECHECK
      :: else
#endif
      fi
    }
  :: o == LEAVING -> free = false
  :: o > NO_THREAD && o != LEAVING -> free = true
  :: o == NO_THREAD -> free = true
  fi;
  if
  :: !free -> goto next_part
  :: else -> free = false
  fi;
  atomic { !locked[p] -> touch(x); list[x] = 0 }
  atomic { touch(x); freed[x] = true; goto next_part };

spares:
  atomic {
    x = 0;
    do
    :: x < parts && part_of[x] == p && list[x] == 2 && !freed[x] -> break
    :: x < parts && !(part_of[x] == p && list[x] == 2 && !freed[x]) -> x++
    :: x == parts -> goto destroyed
    od
  }
  atomic { owner[x] != LEAVING -> list[x] = 0 }
  atomic { touch(x); freed[x] = true; goto spares };

destroyed:
  atomic {
    users[p] = 0;
    locked[p] = false;
    built[p] = false;
    goto next
  }
finished:
  done++
}

init {
  byte i, k;
  atomic {
    for (i : 0 .. THREADS - 1) {
      record[i].entries = 1;
      for (k : 0 .. ENTRIES - 1) {
        record[i].pool[k] = NIL;
        record[i].part[k] = NIL
      }
    }
    for (i : 0 .. PARTS - 1) {
      owner[i] = NO_THREAD
    }
    for (i : 0 .. POOLS - 1) {
      built[i] = true;
      builds[i] = 1
    }
    for (i : 0 .. THREADS - 1) {
      run Thread()
    }
    run Pools();
    i = 0; k = 0
  }
  d_step {
    done == THREADS + 1;
    for (i : 0 .. THREADS - 1) {
      assert(!record[i].taken && record[i].entries == 1)
    }
    for (i : 0 .. PARTS - 1) {
      assert(i >= parts || (freed[i] -> list[i] == 0 : list[i] == 2 && built[part_of[i]] && owner[i] == NO_THREAD))
    }
  }
}
