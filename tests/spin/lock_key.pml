// SPDX-License-Identifier: MIT OR Apache-2.0
// pool.lock(key) beside the last drop of a SharedHandle (pool/sharing.hpp), on one slot.
//
//   word    0: no object; UNIQUE: one Handle owns it; else SHARED + SharedHandles (handle/sharing.hpp)
//   gen     the generation of the slot; a key with this number names the object
//   alive   the number of the object that lives in the slot, 0 for none
//
// A maker builds OBJECTS objects in the slot, one after the other: a Handle owns each, and shares every second one.
// LOCKERS threads read the newest key, lock it, look at the object, and drop it, TRIES times.
//
// Checked:
//   alive == key        an owner from lock() sees the object of its key, alive
//   word > SHARED       no count changes while a Handle owns the object
//   alive == number     every object ends once
// Each step is one access to shared memory, and all threads see the accesses in one order.
//
// Faults:
//   BUG_NO_SECOND_LOOK   the key is not looked up again after counting
//   BUG_COUNTS_UNIQUE    lock() counts an object that one Handle owns
//   BUG_LATE_END         the key ends after the slot is free again
//   BUG_PLAIN_LAST       the last SharedHandle is dropped by a load and a store, as without keys
#ifndef OBJECTS
#define OBJECTS 3
#endif
#ifndef LOCKERS
#define LOCKERS 2
#endif
#ifndef TRIES
#define TRIES 2
#endif
#define SHARED 100
#define UNIQUE 1

int word = 0;
byte gen = 1;
byte alive = 0;
byte newest = 0;    // a key, published without an order
bool busy = false;  // the slot is handed out

inline dispose(number) {
#ifndef BUG_LATE_END
  gen = number + 1;
#endif
  assert(alive == number);  // ends once
  alive = 0;
  atomic { word = 0; busy = false }
#ifdef BUG_LATE_END
  gen = number + 1;
#endif
}

// One SharedHandle less.
inline drop(number, last) {
#ifdef BUG_PLAIN_LAST
  if
  :: word == SHARED + 1 -> word = SHARED; last = true
  :: else -> atomic { word--; last = (word == SHARED) }
  fi;
#else
  atomic {
    assert(word > SHARED);  // counted as shared
    word--;
    last = (word == SHARED)
  }
#endif
  if
  :: last -> dispose(number)
  :: else
  fi
}

active proctype maker() {
  byte n = 1;
  bool last;
  do
  :: n <= OBJECTS ->
     atomic { !busy -> busy = true }
     alive = n;
     word = UNIQUE;
     newest = n;
     if
     :: n % 2 == 0 ->  // the Handle ends it
        assert(word == UNIQUE);
        dispose(n)
     :: else ->
        assert(word == UNIQUE);
        word = SHARED + 1;
        drop(n, last)
     fi;
     n++
  :: else -> break
  od
}

active [LOCKERS] proctype locker() {
  byte key;
  bool counted;
  bool last;
  byte tries = 0;
  do
  :: tries < TRIES ->
     tries++;
     key = newest;
     if
     :: key != 0 && gen == key ->
        atomic {  // a successful compare-and-swap
          counted = false;
          if
#ifdef BUG_COUNTS_UNIQUE
          :: word == UNIQUE || word > SHARED -> word++; counted = true
#else
          :: word > SHARED -> word++; counted = true
#endif
          :: else
          fi
        }
        if
        :: counted ->
#ifndef BUG_NO_SECOND_LOOK
           if
           :: gen == key -> assert(alive == key)  // locked
           :: else
           fi;
#else
           assert(alive == key);  // locked
#endif
           drop(alive, last)
        :: else
        fi
     :: else
     fi
  :: else -> break
  od
}

