// SPDX-License-Identifier: MIT OR Apache-2.0
// The library as a C++20 module: `import fastalloc;` makes every public name known, adapters included. Macros come with
// no module; for FASTALLOC_VERSION, include <fastalloc/version.hpp> as well. Files that import and files that include
// work in one program, and in one file: both mean the same entities. cmake/README.md says how to build it.
// tests/house/module_names.cmake finds names that are missing here.
module;

#include <fastalloc/adapters/c_allocator.hpp>
#include <fastalloc/adapters/coroutine.hpp>
#include <fastalloc/adapters/pool_allocator.hpp>
#include <fastalloc/adapters/pool_resource.hpp>
#include <fastalloc/adapters/pooled.hpp>
#include <fastalloc/adapters/unique_ptr.hpp>
#include <fastalloc/debug/occupancy.hpp>
#include <fastalloc/debug/trace.hpp>
#include <fastalloc/debug/tracy.hpp>
#include <fastalloc/fastalloc.hpp>
#include <fastalloc/registry.hpp>
#include <fastalloc/storage/budget.hpp>

export module fastalloc;

export namespace fastalloc {

// errors
using fastalloc::AllocationFailed;
using fastalloc::Error;
using fastalloc::ErrorCode;
using fastalloc::ErrorHandler;
using fastalloc::InvalidConfiguration;
using fastalloc::MaxCapacityExceeded;
using fastalloc::name;
using fastalloc::PoolExhausted;
using fastalloc::Result;
using fastalloc::set_error_handler;

// storage: the source of the bytes
using fastalloc::Budgeted;
using fastalloc::ExplainsFailure;
using fastalloc::ExternalStorage;
using fastalloc::HeapStorage;
using fastalloc::HugePages;
using fastalloc::InlineStorage;
using fastalloc::MemoryBudget;
using fastalloc::NoPoison;
using fastalloc::PageFeature;
using fastalloc::PageOptions;
using fastalloc::PageStorage;
using fastalloc::Prefaults;
using fastalloc::Storage;

// slots: the choice of the next slot; keys
using fastalloc::AnySizeShape;
using fastalloc::BasicGenerations;
using fastalloc::BitmapAllocator;
using fastalloc::Block;
using fastalloc::BlockOf;
using fastalloc::Blocks;
using fastalloc::DropsAll;
using fastalloc::ErasableSlots;
using fastalloc::ExactDivider;
using fastalloc::FreeListAllocator;
using fastalloc::Generations;
using fastalloc::Generations32;
using fastalloc::GivesMany;
using fastalloc::GrowingBlock;
using fastalloc::HearsOfUntouchedSlots;
using fastalloc::KeysPolicy;
using fastalloc::link_bytes;
using fastalloc::LinksCut;
using fastalloc::LinksSlots;
using fastalloc::MarksReturns;
using fastalloc::NoKeys;
using fastalloc::ShortKey;
using fastalloc::SlotAllocator;
using fastalloc::SlotAllocatorState;
using fastalloc::SlotCode;
using fastalloc::SlotShape;
using fastalloc::StackAllocator;
using fastalloc::TakesMany;
using fastalloc::TakesRuns;
using fastalloc::TracksOccupancy;
using fastalloc::word_bits;
using fastalloc::words_for;

// checks
using fastalloc::ChecksPolicy;
using fastalloc::DebugChecks;
using fastalloc::FullChecks;
using fastalloc::NoChecks;

// locks
using fastalloc::AdaptiveLock;
using fastalloc::InterruptLock;
using fastalloc::LockFree;
using fastalloc::LockPolicy;
using fastalloc::MutexLock;
using fastalloc::NoLock;
using fastalloc::SpinLock;

// caches of threads
using fastalloc::CachePolicy;
using fastalloc::NoCache;
using fastalloc::ThreadCache;

// statistics and reports
using fastalloc::AtomicStats;
using fastalloc::BasicStats;
using fastalloc::compact_summary;
using fastalloc::key_value_pairs;
using fastalloc::NoStats;
using fastalloc::PoolStatistics;
using fastalloc::statistics_from_json;
using fastalloc::StatsPolicy;
using fastalloc::summary;
using fastalloc::to_json;
using fastalloc::to_prometheus;

// lifetime and hooks
using fastalloc::ConstructOnAllocate;
using fastalloc::for_overwrite;
using fastalloc::is_poolable;
using fastalloc::LifetimePolicy;
using fastalloc::Poolable;
using fastalloc::Recycle;
using fastalloc::recycle;

// handles, keys, owners
using fastalloc::AnyOwner;
using fastalloc::AtomicShared;
using fastalloc::BatchHandle;
using fastalloc::Bound;
using fastalloc::CompactHandle;
using fastalloc::CompactHandles;
using fastalloc::Handle;
using fastalloc::InSegment;
using fastalloc::Key;
using fastalloc::Shared;
using fastalloc::SharedHandle;
using fastalloc::SharingPolicy;
using fastalloc::SpanHandle;
using fastalloc::WeakHandle;

// pools and their configuration
using fastalloc::Abandonable;
using fastalloc::Defaults;
using fastalloc::Evict;
using fastalloc::evict;
using fastalloc::Fail;
using fastalloc::FixedPool;
using fastalloc::FreeSlot;
using fastalloc::GrowingPool;
using fastalloc::GrowthStrategy;
using fastalloc::HeapFallback;
using fastalloc::MovablePool;
using fastalloc::NoDestructor;
using fastalloc::OldestFirst;
using fastalloc::PoolConfig;
using fastalloc::PoolConfigBuilder;
using fastalloc::SlotRequest;
using fastalloc::ThreadLocalPool;
using fastalloc::ThreadSafeDefaults;
using fastalloc::ThreadSafePool;

// traces and pictures; TracySink is defined where the module was built with Tracy's headers
using fastalloc::ChromeTrace;
using fastalloc::occupancy_svg;
using fastalloc::PoolUsage;
using fastalloc::TraceEvent;
using fastalloc::TraceKind;
using fastalloc::TraceSink;
using fastalloc::TraceStats;
using fastalloc::TraceSwitch;
using fastalloc::TracySink;

// the list of all pools
using fastalloc::PoolInfo;
using fastalloc::PoolRegistry;
using fastalloc::Registered;

// adapters
using fastalloc::BoundAllocator;
using fastalloc::CAllocator;
using fastalloc::CHooks;
using fastalloc::FrameSlot;
using fastalloc::HeapFrames;
using fastalloc::PoolAllocator;
using fastalloc::PoolDeleter;
using fastalloc::Pooled;
using fastalloc::PooledFrame;
using fastalloc::PoolResource;
using fastalloc::PoolResourceOptions;
using fastalloc::Propagation;
using fastalloc::SizeClassUsage;
using fastalloc::SynchronizedPoolResource;
using fastalloc::to_handle;
using fastalloc::to_unique;
using fastalloc::TryPooledFrame;

}  // namespace fastalloc
