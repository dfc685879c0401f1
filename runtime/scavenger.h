// Gives free pages back to the OS in the background, at a hundredth of one
// processor's time.
//
// How much a heap retains:
//
//   while it allocates    what the next collection will find, and some more:
//                         this memory is about to be used again
//   when it has stopped   what is live, and some more
//
// "Some more" is a percentage of it, an option. The thread:
//
//   none --a collection leaves too much--> working <-> waiting for idleness
//                                             |  ^
//                              nothing to do  v  |  another collection
//                                            parked
//
// It exists from the first collection after which there is something to do. It
// never touches an object or a span, only pages that are free, and so it is no
// mutator, and no stop concerns it.

#ifndef LOAM_RUNTIME_SCAVENGER_H_
#define LOAM_RUNTIME_SCAVENGER_H_

#include <pthread.h>

#include <cstdint>

#include "runtime/base/fatal.h"
#include "runtime/base/mutex.h"
#include "runtime/gc/gc_pacer.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class Scavenger {
 public:
  struct Options {
    bool enabled;  // may have a thread
    uint32_t retain_percent;
  };
  // After a spell of work, one line. On the scavenger's thread.
  using Report = void (*)(void* data, const char* line);

  Scavenger(const Options& options, PageHeap* page_heap,
            const HeapCounters* counters, const GcPacer* pacer,
            const FatalContext* fatal_context)
      : options_(options),
        page_heap_(page_heap),
        counters_(counters),
        pacer_(pacer),
        fatal_context_(fatal_context) {}
  // Ends the thread.
  ~Scavenger();
  Scavenger(const Scavenger&) = delete;
  Scavenger& operator=(const Scavenger&) = delete;

  // Before the first collection. NULL: no lines.
  void set_report(Report report, void* data) {
    report_ = report;
    report_data_ = data;
  }

  // A collection is over: wakes the thread, or starts it, if there may be
  // something to do. Any thread.
  void CollectionEnded() LOAM_EXCLUDES(mutex_);

  uint64_t scavenged_bytes() const { return scavenged_bytes_.Get(); }
  // That the thread has worked.
  uint64_t worked_ns() const { return worked_ns_.Get(); }

  // No pages are on their way to the OS while a fork is prepared.
  void LockForFork() {
    work_mutex_.LockForFork();
    mutex_.LockForFork();
  }
  void UnlockAfterFork() {
    mutex_.UnlockAfterFork();
    work_mutex_.UnlockAfterFork();
  }
  // The thread is the parent's. The child gets one when it needs it.
  void ResetAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS;

 private:
  static void* Main(void* scavenger);
  void Run() LOAM_EXCLUDES(mutex_, work_mutex_);
  // Until `time_ns`, or the end.
  void SleepUntil(uint64_t time_ns) LOAM_REQUIRES(mutex_);
  // Works for about a millisecond.
  void Work() LOAM_EXCLUDES(work_mutex_);
  void ReportSpell();

  // Committed pages above what is retained.
  uint64_t Excess() const;
  uint64_t Retained(uint64_t bytes) const;
  // Whether the heap has not allocated for a while; notes what it does.
  bool IsIdle(uint64_t now_ns);

  const Options options_;
  PageHeap* const page_heap_;
  const HeapCounters* const counters_;
  const GcPacer* const pacer_;
  const FatalContext* const fatal_context_;
  Report report_ = nullptr;
  void* report_data_ = nullptr;

  // Of the thread alone.
  uintptr_t below_ = UINTPTR_MAX;  // where to go on; 0: all has been looked at
  bool is_idle_ = false;
  uint64_t activity_ = 0;     // when last looked at
  uint64_t active_ns_ = 0;    // when the heap was last seen to allocate
  uint64_t spell_bytes_ = 0;  // since the thread was last parked
  uint64_t spell_ns_ = 0;

  Counter scavenged_bytes_;
  Counter worked_ns_;

  // Held while pages are on their way.
  Mutex<LockRank::kScavengerWork> work_mutex_;
  Mutex<LockRank::kScavenger> mutex_;
  ConditionVariable changed_;  // collections_ or ending_
  uint64_t collections_ LOAM_GUARDED_BY(mutex_) = 0;
  bool ending_ LOAM_GUARDED_BY(mutex_) = false;
  bool has_thread_ LOAM_GUARDED_BY(mutex_) = false;
  bool is_parked_ LOAM_GUARDED_BY(mutex_) = false;
  pthread_t thread_ LOAM_GUARDED_BY(mutex_) = {};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SCAVENGER_H_
