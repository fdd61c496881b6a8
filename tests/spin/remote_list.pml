// SPDX-License-Identifier: MIT OR Apache-2.0
// The lists of ThreadLocalPool: each sub-pool has an owner, who alone uses its local list, and a remote list, to which
// all other threads push and which the owner takes back whole. Both lists link their slots through the same words.
//
// THREADS threads at a time; each lives LIVES times and does OPS operations a life: allocate, or destroy any live
// handle, whoever made it. A life starts without a sub-pool, and its first allocation adopts one that has no owner,
// under the lock; its end gives the sub-pool back, under the lock. All lives of a thread have the same token, as new
// threads get the addresses of ended ones. Sub-pools have SLOTS slots each, all on the local list at first.
//
// Checked:
//   live, listed  a slot is never allocated twice nor put on a list twice
//   inside        only one thread at a time uses a local list
//   seen          when all threads are done, each slot without a handle is on exactly one list of its sub-pool, once
// Each step is one access to shared memory, and all threads see the accesses in one order: memory orders are not
// modelled.
//
// Faults:
//   BUG_LOAD_STORE_TAKE     the remote list is read and then cleared: what was pushed in between is lost
//   BUG_LINK_AFTER_PUBLISH  a slot is pushed before its link is written: the owner follows what the link was before
//   BUG_OWNER_KEPT          the end of a thread leaves its token in the sub-pool: a later thread with that token takes
//                           itself for the owner
#ifndef THREADS
#define THREADS 2
#endif
#ifndef LIVES
#define LIVES 2
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef SUBS
#define SUBS 2
#endif
#ifndef SLOTS
#define SLOTS 2
#endif

#define ALL (SUBS * SLOTS)
#define NIL 255
#define NOBODY 255
#define NONE 255

bool locked;
bool orphan[SUBS];
byte owner[SUBS];
byte own[SUBS];
byte remote[SUBS];
byte next[ALL];

// What only the checks know.
bool live[ALL];
bool listed[ALL];
bool seen[ALL];
byte inside[SUBS];
byte done;

inline enter(sub) {
  d_step { inside[sub]++; assert(inside[sub] == 1) }
}

inline leave(sub) {
  inside[sub]--
}

proctype Thread(byte me) {
  byte lives = LIVES, left = OPS, mine = NONE, s, x, h, n;

next_operation:
  atomic {
    s = 0; x = 0; h = 0; n = 0;
    if
    :: left > 0 -> left--; goto allocate
    :: left > 0 ->
      left--;
      select(x : 0 .. ALL - 1);
      if
      :: live[x] -> live[x] = false; goto destroy
      :: else -> x = 0; goto end_of_life
      fi
    :: left == 0 -> goto end_of_life
    fi
  }

allocate:
  if
  :: mine == NONE ->
    atomic { !locked -> locked = true }
    atomic {
      select(s : 0 .. SUBS - 1);
      if
      :: orphan[s] -> orphan[s] = false; mine = s
      :: else -> s = 0
      fi
    }
    if
    :: mine != NONE -> owner[mine] = me
    :: else
    fi;
    locked = false
  :: else
  fi;
  if
  :: mine == NONE -> goto next_operation
  :: else
  fi;

  enter(mine);
  h = own[mine];
  if
  :: h == NIL ->
#ifdef BUG_LOAD_STORE_TAKE
    x = remote[mine];
    remote[mine] = NIL;
#else
    d_step { x = remote[mine]; remote[mine] = NIL }
#endif
    do
    :: x != NIL ->
      n = next[x];
      next[x] = h;
      d_step { h = x; x = n }
    :: else -> break
    od;
    own[mine] = h
  :: else
  fi;
  if
  :: h != NIL ->
    n = next[h];
    d_step {
      own[mine] = n;
      assert(listed[h] && !live[h]);
      listed[h] = false;
      live[h] = true
    }
  :: else
  fi;
  leave(mine);
  goto next_operation;

destroy:
  s = x / SLOTS;
  if
  :: owner[s] == me ->
    enter(s);
    h = own[s];
    next[x] = h;
    d_step {
      own[s] = x;
      assert(!listed[x]);
      listed[x] = true
    }
    leave(s);
    goto next_operation
  :: else
  fi;
try_remote:
  h = remote[s];
#ifndef BUG_LINK_AFTER_PUBLISH
  next[x] = h;
#endif
  atomic {
    if
    :: remote[s] == h ->
      remote[s] = x;
      assert(!listed[x]);
      listed[x] = true
    :: else -> goto try_remote
    fi
  }
#ifdef BUG_LINK_AFTER_PUBLISH
  next[x] = h;
#endif
  goto next_operation;

end_of_life:
  if
  :: mine != NONE ->
    atomic { !locked -> locked = true }
#ifndef BUG_OWNER_KEPT
    owner[mine] = NOBODY;
#endif
    atomic { orphan[mine] = true; mine = NONE; locked = false }
  :: else
  fi;
  atomic {
    lives--;
    if
    :: lives > 0 -> left = OPS; goto next_operation
    :: else -> left = 0; done++
    fi
  }
}

init {
  byte i, s;
  atomic {
    for (s : 0 .. SUBS - 1) {
      orphan[s] = true;
      owner[s] = NOBODY;
      remote[s] = NIL;
      own[s] = s * SLOTS;
      for (i : s * SLOTS .. s * SLOTS + SLOTS - 1) {
        listed[i] = true;
        next[i] = i + 1
      }
      next[s * SLOTS + SLOTS - 1] = NIL
    }
    for (i : 0 .. THREADS - 1) {
      run Thread(i)
    }
    i = 0; s = 0
  }
  d_step {
    done == THREADS;
    for (s : 0 .. SUBS - 1) {
      do
      :: own[s] != NIL && !seen[own[s]] ->
        assert(own[s] / SLOTS == s);
        seen[own[s]] = true;
        own[s] = next[own[s]]
      :: else -> break
      od;
      do
      :: remote[s] != NIL && !seen[remote[s]] ->
        assert(remote[s] / SLOTS == s);
        seen[remote[s]] = true;
        remote[s] = next[remote[s]]
      :: else -> break
      od;
      assert(own[s] == NIL && remote[s] == NIL)
    }
    for (i : 0 .. ALL - 1) {
      assert(seen[i] + live[i] == 1)
    }
  }
}
