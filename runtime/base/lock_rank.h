// The order in which locks are taken. A thread that holds a lock may take only
// locks further down this list; debug builds check it at every acquisition
// of a Mutex (not of a SpinLock, kSpanSpecials here).
// docs/architecture.md says what each lock guards.

#ifndef LOAM_RUNTIME_BASE_LOCK_RANK_H_
#define LOAM_RUNTIME_BASE_LOCK_RANK_H_

#include <cstdint>

namespace loam {

enum class LockRank : uint8_t {
  kFinalizerRunner,  // FinalizerRunner: starting and stopping it
  kBackgroundWork,   // Background: a job is at work
  kBackground,       // Background: jobs, the thread
  kBackgroundLink,   // Background: from tasks to the heap
  kSafepoints,       // Safepoints: mutators of a heap, stopping the world
  kRootSet,          // RootSet: registered roots, globals, fibers
  kTypeSet,          // TypeSet: registration
  kFinalizerQueue,   // FinalizerQueue: its runner waits
  kHeapProfile,      // HeapProfile: buckets
  kCentralList,      // Sweeper: the registry of central lists
  kSpanSpecials,     // Span: its list of specials
  kPageHeap,         // PageHeap: pages, spans, arenas
  kGcBits,           // GcBits: arenas of mark and alloc bits
  kMetadata,         // PersistentAllocator
  kThreadContext,    // ThreadContext: mutators of a thread; asked while tracing
  kMarkTeam,         // MarkTeam: waking and awaiting the threads that help
  kMarkPool,         // MarkPool: work between markers
  kThreadPool,       // ThreadPool: its queue
  kErrorMessage,     // Runtime: the last error message
  kCount,
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_LOCK_RANK_H_
