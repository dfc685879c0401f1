// A heap's workers: threads that help a collecting thread to mark.
//
// They are threads of the heap's own, from its creation to its end, that sleep
// between collections; or tasks on the embedder's platform. The collecting
// thread marks the roots and what they lead to on its own at first; only when
// that turns out to be much does it call the others (Marker::Drain). Whoever
// comes while marking goes on takes work from the pool until there is none;
// nobody is waited for who has not come.
//
//   asleep --Run: round_ rises--> marking --the pool is complete--> asleep
//   on its way (a task) --marking goes on--> marking --> gone
//              `---------it does not---------------------^
//
// Workers run no code of the embedder's but trace and decode callbacks, and are
// no mutators. They touch the heap only while the collecting thread is in Run,
// which holds the world stopped.

#ifndef LOAM_RUNTIME_GC_MARK_TEAM_H_
#define LOAM_RUNTIME_GC_MARK_TEAM_H_

#include <pthread.h>

#include <cstdint>

#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/base/platform.h"
#include "runtime/gc/mark_pool.h"
#include "runtime/gc/mark_work.h"
#include "runtime/gc/marker.h"

namespace loam {

class MarkTeam {
 public:
  // In memory of its own; NULL if there is none.
  static MarkTeam* Create(PageHeap* page_heap, MemoryLedger* ledger,
                          const ValueEncoding& encoding, size_t max_stack_bytes,
                          const Platform& platform,
                          const FatalContext* fatal_context);
  // Ends the threads, or waits for the tasks. NULL is nothing to destroy.
  static void Destroy(MarkTeam* team);
  MarkTeam(const MarkTeam&) = delete;
  MarkTeam& operator=(const MarkTeam&) = delete;

  // Makes up to `workers` workers, and threads for them; false if it cannot
  // have them all. Once, before the first Run.
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
           const Platform& platform, const FatalContext* fatal_context)
      : page_heap_(page_heap),
        ledger_(ledger),
        encoding_(encoding),
        max_stack_bytes_(max_stack_bytes),
        platform_(platform),
        fatal_context_(fatal_context) {}
  ~MarkTeam();

  struct Worker {
    explicit Worker(MarkTeam* team);
    MarkTeam* const team;
    MarkWork work;
    Marker* marker;
    // Guarded by mutex_.
    pthread_t thread = {};
    bool is_on_its_way = false;  // a task
    uint64_t called_round = 0;   // the last one that it has heard of
    uint64_t marked_round = 0;   // the last one it took part in
    alignas(64) char marker_storage[Marker::kStorageBytes];
  };

  static void* ThreadMain(void* worker);
  static void RunTask(void* worker);
  void RunThread(Worker* worker) LOAM_EXCLUDES(mutex_);
  // Marks along in this round, if marking goes on.
  void Help(Worker* worker) LOAM_REQUIRES(mutex_);
  void PostTasks() LOAM_EXCLUDES(mutex_);

  PageHeap* const page_heap_;
  MemoryLedger* const ledger_;
  const ValueEncoding encoding_;
  const size_t max_stack_bytes_;
  const Platform platform_;
  const FatalContext* const fatal_context_;  // NULL in tests

  MarkPool pool_;
  // Constant but for Start and ResetAfterFork.
  Worker* workers_[MarkPool::kMaxMarkers - 1] = {};
  uint32_t count_ = 0;

  Mutex<LockRank::kMarkTeam> mutex_;
  ConditionVariable changed_;  // what follows, or tasks on their way
  uint64_t round_ LOAM_GUARDED_BY(mutex_) = 0;
  bool is_marking_ LOAM_GUARDED_BY(mutex_) = false;
  uint32_t busy_ LOAM_GUARDED_BY(mutex_) = 0;  // workers that mark
  bool ending_ LOAM_GUARDED_BY(mutex_) = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_TEAM_H_
