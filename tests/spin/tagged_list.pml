// SPDX-License-Identifier: MIT OR Apache-2.0
// The list of free slots under the LockFree policy: a stack of slot indices whose head and tag are one atomic word,
// with the links in an array beside it, and a bump pointer behind which no slot was ever used. Beside each link stands the number
// of slots from there on, so the head's number is that of all free slots that were used before. A slot that is taken links to
// itself: that is how iterations know it.
//
// THREADS threads do up to OPS operations each, every one a pop or the push of any slot the thread holds. Every way to
// place the slots at the start is tried: never used, on the list, or held by a thread.
//
// Checked:
//   holder    no slot is taken while somebody holds it
//   saw_full  "exhausted" is said only if at some moment of the call no slot was free
//   counted   whenever the head changes, its number is right
//   listed    when all threads are done, each slot is held, on the list once, or behind the bump pointer
//   next      then a slot links to itself if and only if it is held
// Each step is one access to shared memory, and all threads see the accesses in one order: memory orders are not
// modelled.
//
// Faults:
//   BUG_NO_TAG     the tag, which counts returns, stays the same: a pop that slept puts a link in the head that others have made stale
//   BUG_TAG_BITS   a tag of so many bits: it wraps while a pop sleeps, and the same happens
//   BUG_NO_REREAD  "exhausted" is said without a second look at the list after the bump pointer: a slot that came back
//                  while the last new one was taken is not seen
//   BUG_COUNT      the number is read before the head: others change the list in between
//   BUG_LATE_MARK  a thread links the slot to itself after it has handed it on: the slot may be on the list again
#ifndef THREADS
#define THREADS 3
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef OPS
#define OPS 2
#endif

#if defined(BUG_NO_TAG)
#define NEXT_TAG(tag) (tag)
#elif defined(BUG_TAG_BITS)
#define NEXT_TAG(tag) ((tag + 1) & ((1 << BUG_TAG_BITS) - 1))
#else
#define NEXT_TAG(tag) (tag + 1)  // never wraps: a byte counts more operations than any run has
#endif

#define NIL 255
#define NOBODY 255

byte head_index = NIL;
byte head_tag;
byte next[CAPACITY];
byte count[CAPACITY];
byte fresh;  // the bump pointer: slots from here on were never used

// What only the checks know.
byte holder[CAPACITY];
byte free;
byte listed_now;
bool in_pop[THREADS];
bool saw_full[THREADS];
bool listed[CAPACITY];
byte done;
byte looking[THREADS];  // 1 + the slot whose link a thread is about to read

// In the step that takes the slot away from the others.
inline check_count() {
  assert((head_index == NIL -> 0 : count[head_index]) == listed_now)
}
inline took(slot) {
  assert(holder[slot] == NOBODY);
  holder[slot] = me;
  free--;
  if
  :: free == 0 ->
    for (i : 0 .. THREADS - 1) {
      if
      :: in_pop[i] -> saw_full[i] = true
      :: else
      fi
    }
  :: else
  fi;
  in_pop[me] = false;
  saw_full[me] = false;
  h = 0; tag = 0; n = 0; f = 0; c = 0; i = 0; again = false
}

// The slot links to itself: at once where no thread is about to read its link, since then nobody can tell; else in a step of its own.
inline mark_now() {
  again = false;
  for (i : 0 .. THREADS - 1) {
    if
    :: i != me && looking[i] == x + 1 -> again = true
    :: else
    fi
  }
  i = 0;
#ifndef BUG_LATE_MARK
  if
  :: again -> again = false; goto mark
  :: else -> next[x] = x; x = 0; goto next_operation
  fi
#else
  again = false;
  goto mark
#endif
}

proctype Thread(byte me) {
  byte left = OPS, h, tag, n, f, x, c, i;
  bool again;

next_operation:
  atomic {
    h = 0; tag = 0; n = 0; f = 0; x = 0; c = 0; i = 0; again = false;
    if
    :: left > 0 -> left--; in_pop[me] = true; saw_full[me] = (free == 0); goto pop
    :: left > 0 ->
      left--;
      select(x : 0 .. CAPACITY - 1);
      if
      :: holder[x] == me -> goto push
      :: else -> goto finished
      fi
    :: left == 0 -> goto finished
    fi
  }

pop:
  atomic { h = head_index; tag = head_tag; looking[me] = (h == NIL -> 0 : h + 1) }
  if
  :: h != NIL ->
    atomic { n = next[h]; looking[me] = 0 };
    atomic {
      if
      :: head_index == h && head_tag == tag ->
        head_index = n;
        listed_now--;
        check_count();
        x = h;
        took(h);
        mark_now()
      :: else -> goto pop
      fi
    }
  :: h == NIL && again -> goto exhausted
  :: h == NIL && !again
  fi;

  f = fresh;
  do
  :: f < CAPACITY ->
    atomic {
      if
      :: fresh == f ->
        fresh++;
        x = f;
        took(f);
        mark_now()
      :: else -> f = fresh
      fi
    }
  :: else -> break
  od;
#ifndef BUG_NO_REREAD
  again = true;
  goto pop;
#endif

exhausted:
  atomic {
    assert(saw_full[me]);
    in_pop[me] = false;
    saw_full[me] = false;
    goto next_operation
  };

mark:
#ifdef BUG_LATE_MARK
  // The holder gives the slot back meanwhile, which another thread does for it here.
  atomic {
    next[x] = head_index;
    count[x] = listed_now + 1;
    head_index = x;
    head_tag = NEXT_TAG(head_tag);
    listed_now++;
    holder[x] = NOBODY;
    free++
  }
#endif
  atomic { next[x] = x; x = 0; goto next_operation };

push:
#ifdef BUG_COUNT
  c = (head_index == NIL -> 0 : count[head_index]);
#endif
  atomic { h = head_index; tag = head_tag }
  next[x] = h;
#ifndef BUG_COUNT
  c = (h == NIL -> 0 : count[h]);
#endif
  count[x] = c + 1;
  atomic {
    if
    :: head_index == h && head_tag == tag ->
      head_index = x;
      head_tag = NEXT_TAG(tag);
      listed_now++;
      check_count();
      holder[x] = NOBODY;
      free++;
      goto next_operation
    :: else -> goto push
    fi
  }

finished:
  done++
}

init {
  byte i, who;
  atomic {
    // Slots before the bump pointer are on the list or held. Threads are alike: slot i goes to one of the first i + 1.
    select(fresh : 0 .. CAPACITY);
    free = CAPACITY;
    for (i : 0 .. CAPACITY - 1) {
      holder[i] = NOBODY;
      if
      :: i < fresh ->
        select(who : 0 .. THREADS);
        if
        :: who >= THREADS || who > i -> next[i] = head_index; head_index = i; listed_now++; count[i] = listed_now
        :: else -> holder[i] = who; next[i] = i; free--
        fi
      :: else
      fi
    }
    for (i : 0 .. THREADS - 1) {
      run Thread(i)
    }
    i = 0; who = 0
  }
  d_step {
    done == THREADS;
    do
    :: head_index != NIL && !listed[head_index] ->
      listed[head_index] = true;
      head_index = next[head_index]
    :: else -> break
    od;
    assert(head_index == NIL);
    for (i : 0 .. CAPACITY - 1) {
      assert(listed[i] + (holder[i] != NOBODY) + (i >= fresh) == 1);
      assert(i >= fresh || (holder[i] != NOBODY) == (next[i] == i))
    }
  }
}
