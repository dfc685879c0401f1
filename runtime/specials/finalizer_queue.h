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
  // First in, first out: `count` records, linked by `next`. Calls the wake
  // function if the queue was empty.
  void Push(Special* first, size_t count) LOAM_EXCLUDES(mutex_);
  // NULL when no record waits.
  Special* Pop() LOAM_EXCLUDES(mutex_);

  // `count` more cells of a span wait. Returns whom the caller is to Call when
  // it holds no lock.
  struct Wake {
    void (*function)(void* data) = nullptr;
    void* data = nullptr;
  };
  Wake AddWaiting(WaitingCells* cells, size_t count) LOAM_EXCLUDES(mutex_);
  static void Call(const Wake& wake);
  // A span with cells that wait, or NULL.
  Span* FirstWaiting() LOAM_EXCLUDES(mutex_);
  // One cell of these waits no more.
  void TakeWaiting(WaitingCells* cells) LOAM_EXCLUDES(mutex_);

  // Records and cells.
  size_t size() LOAM_EXCLUDES(mutex_);

  // For a runner: waits until something is queued; false when StopWaiting has
  // been called.
  bool WaitUntilReady() LOAM_EXCLUDES(mutex_);
  void StopWaiting() LOAM_EXCLUDES(mutex_);
  // Before another runner.
  void AllowWaiting() LOAM_EXCLUDES(mutex_);

  void SetWake(void (*wake)(void* data), void* data) LOAM_EXCLUDES(mutex_);

  // Calls visit(special) for all, first to last.
  template <typename Visit>
  void ForEach(Visit&& visit) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (const Special* s = head_; s != nullptr; s = s->next) visit(*s);
  }

  void ResetAfterFork() {
    mutex_.ResetAfterFork();
    ready_.ResetAfterFork();
  }

 private:
  // `count` more wait. Returns what to wake, if none did.
  Wake Add(size_t count) LOAM_REQUIRES(mutex_);

  Mutex<LockRank::kFinalizerQueue> mutex_;
  Special* head_ LOAM_GUARDED_BY(mutex_) = nullptr;
  Special* tail_ LOAM_GUARDED_BY(mutex_) = nullptr;
  WaitingCells* waiting_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t size_ LOAM_GUARDED_BY(mutex_) = 0;
  Wake wake_ LOAM_GUARDED_BY(mutex_);
  ConditionVariable ready_;  // size_ or stop_waiting_
  bool stop_waiting_ LOAM_GUARDED_BY(mutex_) = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_
