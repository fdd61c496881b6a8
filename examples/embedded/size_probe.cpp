// SPDX-License-Identifier: MIT OR Apache-2.0
// What sizes.cmake measures: a pool, one function that allocates from it, and one that frees. PROBE_POLICIES: what
// follows T.
#include <fastalloc/lock/interrupt_lock.hpp>
#include <fastalloc/lock/lock_free.hpp>
#include <fastalloc/pool/compact_handles.hpp>
#include <fastalloc/pool/fixed_pool.hpp>
#include <fastalloc/pool/no_destructor.hpp>
#include <fastalloc/slots/bitmap_allocator.hpp>
#include <fastalloc/slots/free_list_allocator.hpp>
#include <fastalloc/storage/inline_storage.hpp>

#include "cortex_m.hpp"

using namespace fastalloc;

using InterruptsOff = InterruptLock<cortex_m::mask_interrupts, cortex_m::restore_interrupts>;

struct Sample {
  std::uint32_t time;
  std::int16_t axis[4];
};

template <class... Policies> struct Probe {
  using Pool = FixedPool<Sample, InlineStorage<32>, Policies...>;
  /// Of the slots, and of what the slot allocator keeps about them.
  static constexpr std::size_t slot_bytes = sizeof(typename Pool::storage_type);
};
using Probed = Probe<PROBE_POLICIES>;

constinit NoDestructor<Probed::Pool> pool;

extern "C" {
Sample* get() { return pool->try_allocate().release(); }
void put(Sample* sample) { (void)pool->adopt(sample); }

// Symbols whose sizes tell sizes.
[[gnu::used, gnu::section(".told")]] char size_of_pool[sizeof(Probed::Pool)];
[[gnu::used, gnu::section(".told")]] char size_of_slots[Probed::slot_bytes];
}
