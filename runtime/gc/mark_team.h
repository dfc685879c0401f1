// A heap's workers: threads that help a collecting thread to mark.
//
// They belong to one heap, from its creation to its end, and sleep between
// collections. The collecting thread marks the roots and what they lead to on
// its own at first; only when that turns out to be much does it wake the others
// (Marker::Drain), which then take work from the pool until there is none.
//
//   asleep --Run: round_ rises--> marking --the pool is complete--> asleep
//
// Workers run no code of the embedder's but trace and decode callbacks, take no
// signals, and are no mutators. They touch the heap only while the collecting
// thread is in Run, which holds the world stopped.

#ifndef LOAM_RUNTIME_GC_MARK_TEAM_H_
#define LOAM_RUNTIME_GC_MARK_TEAM_H_

#include <pthread.h>

#include <cstdint>

#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/gc/mark_pool.h"
#include "runtime/gc/mark_work.h"
#include "runtime/gc/marker.h"

namespace loam {

class MarkTeam {
 public:
  // In memory of its own; NULL if there is none.
  static MarkTeam* Create(PageHeap* page_heap, MemoryLedger* ledger,
                          const ValueEncoding& encoding, size_t max_stack_bytes,
                          const FatalContext* fatal_context);
  // Ends the threads. NULL is nothing to destroy.
  static void Destroy(MarkTeam* team);
  MarkTeam(const MarkTeam&) = delete;
  MarkTeam& operator=(const MarkTeam&) = delete;

  // Makes up to `workers` threads; false if it cannot have them all. Once,
  // before the first Run.
  bool Start(uint32_t workers);
  bool has_workers() const { return count_ > 0; }

  // The leader and all workers mark until nothing is left to mark; the leader
  // has the sums afterwards. The world is stopped.
  void Run(Marker* leader) LOAM_EXCLUDES(mutex_);

  // While the world is stopped for a fork, workers sleep.
  void LockForFork() {
    mutex_.LockForFork();
    pool_.LockForFork();
  }
  void UnlockAfterFork() {
    pool_.UnlockAfterFork();
    mutex_.UnlockAfterFork();
  }
  // The threads are the parent's; the child marks alone.
  void ResetAfterFork();

 private:
  MarkTeam(PageHeap* page_heap, MemoryLedger* ledger,
           const ValueEncoding& encoding, size_t max_stack_bytes,
           const FatalContext* fatal_context)
      : page_heap_(page_heap),
        ledger_(ledger),
        encoding_(encoding),
        max_stack_bytes_(max_stack_bytes),
        fatal_context_(fatal_context) {}
  ~MarkTeam();

  struct Worker {
    explicit Worker(MarkTeam* team);
    MarkTeam* const team;
    MarkWork work;
    Marker* marker;
    pthread_t thread;
    uint64_t round = 0;  // the last one it took part in; its thread only
    alignas(64) char marker_storage[Marker::kStorageBytes];
  };

  static void* Main(void* argument);
  void Help(Worker* worker) LOAM_EXCLUDES(mutex_);

  PageHeap* const page_heap_;
  MemoryLedger* const ledger_;
  const ValueEncoding encoding_;
  const size_t max_stack_bytes_;
  const FatalContext* const fatal_context_;  // NULL in tests

  MarkPool pool_;
  // Constant but for Start and ResetAfterFork.
  Worker* workers_[MarkPool::kMaxMarkers - 1] = {};
  uint32_t count_ = 0;

  Mutex<LockRank::kMarkTeam> mutex_;
  ConditionVariable changed_;  // round_, busy_ or ending_
  uint64_t round_ LOAM_GUARDED_BY(mutex_) = 0;
  uint32_t busy_ LOAM_GUARDED_BY(mutex_) = 0;  // workers not yet done
  bool ending_ LOAM_GUARDED_BY(mutex_) = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_TEAM_H_
