// SPDX-License-Identifier: MIT OR Apache-2.0
// ThreadParts: threads attach to pools, find their parts through their tables, and end, while pools end.
//
// THREADS threads live LIVES times and do up to USES uses of any pool in a life; each pool is built and destroyed at most BUILDS times, at the
// same address. Nobody uses a pool that is being destroyed; but threads that are ending may still have parts of it. Records of threads and the
// places of pools are used again. Tables grow with the places, from one entry on. What happens under a lock is one step, but where somebody looks
// without it. A part that was freed is not used again.
//
// Checked:
//   found      a lookup finds a part of this pool, of this thread, that is there
//   freed      nobody touches a part that was freed, and none is freed twice
//   built      nobody touches a pool, nor its lock, that has been destroyed
//   pool       an entry is empty when a thread attaches
//   lost       at the end all parts are gone with their pools, or in a list of a pool; and all records are free
//
// Faults:
//   BUG_ENTRY_KEPT      a pool's end leaves its entries in the tables: the next pool at its address and place finds them
//   BUG_NO_LEAVING      a part that a thread's end gives back is not marked: the pool's end takes it for that of a live thread
//   BUG_TAKES_LEAVING   such a part serves another thread already
//   BUG_NO_RECHECK      the pool's end does not look at the owner again under the record's lock: the thread has left the part meanwhile
//   BUG_TABLE_UNLOCKED  a table grows without the record's lock: an entry that a pool's end clears is copied before
//   BUG_PLACE_EARLY     a pool's place is free before its entries are
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
#define PLACES 3  // 0 is no place
#define NIL 255
#define NO_THREAD 100
#define LEAVING 101
#define ORPHANED 102

// Of pools.
bool built[POOLS];
byte builds[POOLS];
byte users[POOLS];
byte place[POOLS];
bool locked[POOLS];

// Of parts: `list` is 0 in no list, 1 in first_, 2 among the spares.
byte owner[PARTS];
byte list[PARTS];
byte part_of[PARTS];
bool freed[PARTS];
byte parts;

// Of records. A table is copied when it grows, and there is one number for all tables that a record ever had.
typedef Record {
  byte pool[ENTRIES];
  byte part[ENTRIES];
  byte entries;
  bool taken
}
Record record[THREADS];

bool in_use[PLACES + 1];
byte done;

#define touch_pool(p) assert(built[p])
#define touch(x) assert(!freed[x])

// find_place()
inline find_place(p) {
  if
  :: place[p] == 0 ->
    i = 1;
    do
    :: in_use[i] -> i++
    :: else -> break
    od;
    assert(i <= PLACES);
    in_use[i] = true;
    place[p] = i;
    i = 0
  :: else
  fi
}

proctype Thread() {
  byte left, lives = LIVES, me = NIL, p, x, i, n;
  byte copy[ENTRIES];

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

  // mine()
  atomic {
    i = (me == NIL -> 0 : place[p] % record[me].entries);
    x = (me == NIL || record[me].pool[i] != p -> NIL : record[me].part[i])
  }
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

  // attach(): record_of_thread(), find_place(), make_entry(), take_part()
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
  atomic { find_place(p) }
  if
  :: place[p] >= record[me].entries ->
#ifdef BUG_TABLE_UNLOCKED
    atomic {
      for (i : 0 .. ENTRIES - 1) {
        copy[i] = record[me].pool[i]
      }
      i = 0
    }
#endif
    atomic {
#ifdef BUG_TABLE_UNLOCKED
      for (i : 0 .. ENTRIES - 1) {
        record[me].pool[i] = copy[i];
        copy[i] = 0
      }
      i = 0;
#endif
      record[me].entries = (place[p] == 1 -> 2 : ENTRIES)
    }
  :: else
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
    assert(record[me].pool[place[p]] == NIL);
    owner[x] = me;
    record[me].part[place[p]] = x;
    record[me].pool[place[p]] = p
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
#ifdef BUG_PLACE_EARLY
  in_use[place[p]] = false;
#endif
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
        record[o].pool[place[p]] = NIL;
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
    if
    :: place[p] != 0 ->
#ifndef BUG_PLACE_EARLY
      assert(in_use[place[p]]);
#endif
      in_use[place[p]] = false;
      place[p] = 0
    :: else
    fi;
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
