// What is to run because objects have died, waiting for the embedder: their
// finalizers, cleanups, and whoever asked to be told. Objects whose finalizers
// wait, and the values of cleanups, are roots until they have been taken off.
//
// Entries are the special records themselves, so queueing cannot fail. Objects
// whose dispose functions wait come last; they are found through their spans.

#ifndef LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_
#define LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_

#include <cstddef>

#include "runtime/base/mutex.h"
#include "runtime/specials/dispose_queue.h"
#include "runtime/specials/special.h"

namespace loam {

class FinalizerQueue {
 public:
  // First in, first out: `count` records from `first` to `last`, linked by
  // `next`. Calls Wake if nothing waited.
  void Push(Special* first, Special* last, size_t count)
      LOAM_EXCLUDES(lock_, runner_mutex_);
  // NULL when no record waits.
  Special* Pop() LOAM_EXCLUDES(lock_);

  // `count` more cells of a span wait. Returns whether nothing did before: then
  // the caller is to call Wake when it holds no lock.
  bool AddWaiting(WaitingCells* cells, size_t count) LOAM_EXCLUDES(lock_);
  // Wakes the runner, and calls the wake function.
  void Wake() LOAM_EXCLUDES(runner_mutex_);
  // A span with cells that wait, or NULL.
  Span* FirstWaiting() LOAM_EXCLUDES(lock_);
  // One cell of these waits no more.
  void TakeWaiting(WaitingCells* cells) LOAM_EXCLUDES(lock_);

  // Records and cells.
  size_t size() LOAM_EXCLUDES(lock_);

  // For a runner: waits until something is queued; false when StopWaiting has
  // been called.
  bool WaitUntilReady() LOAM_EXCLUDES(runner_mutex_);
  // Waits that long; false when StopWaiting has been called.
  bool WaitFor(uint64_t nanoseconds) LOAM_EXCLUDES(runner_mutex_);
  void StopWaiting() LOAM_EXCLUDES(runner_mutex_);
  // Before another runner.
  void AllowWaiting() LOAM_EXCLUDES(runner_mutex_);

  // Waits for a call of the last function that is under way.
  void SetWake(void (*wake)(void* data), void* data)
      LOAM_EXCLUDES(runner_mutex_);

  // Calls visit(special) for all, first to last.
  template <typename Visit>
  void ForEach(Visit&& visit) LOAM_EXCLUDES(lock_) {
    const SpinLockHolder lock(&lock_);
    for (const Special* s = head_; s != nullptr; s = s->next) visit(*s);
  }

  // Around a fork: threads in native state ask for the size. Taken last: who
  // holds it takes nothing else.
  void LockForFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Lock(); }
  void UnlockAfterFork() LOAM_NO_THREAD_SAFETY_ANALYSIS { lock_.Unlock(); }
  void ResetAfterFork() {
    runner_mutex_.ResetAfterFork();
    ready_.ResetAfterFork();
  }

 private:
  // `count` more wait. Returns whether none did.
  bool Add(size_t count) LOAM_REQUIRES(lock_);

  SpinLock lock_;
  Special* head_ LOAM_GUARDED_BY(lock_) = nullptr;
  Special* tail_ LOAM_GUARDED_BY(lock_) = nullptr;
  WaitingCells* waiting_ LOAM_GUARDED_BY(lock_) = nullptr;
  size_t size_ LOAM_GUARDED_BY(lock_) = 0;
  // Whoever makes size_ other than 0 takes it, and notifies, afterwards.
  Mutex<LockRank::kFinalizerQueue> runner_mutex_;
  ConditionVariable ready_;
  bool stop_waiting_ LOAM_GUARDED_BY(runner_mutex_) = false;
  void (*wake_)(void* data) LOAM_GUARDED_BY(runner_mutex_) = nullptr;
  void* wake_data_ LOAM_GUARDED_BY(runner_mutex_) = nullptr;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_
