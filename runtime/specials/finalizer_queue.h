// What is to run because objects have died, waiting for the embedder: their
// finalizers, cleanups, and whoever asked to be told. Objects whose finalizers
// wait, and the values of cleanups, are roots until they have been taken off.
//
// Entries are the special records themselves, so queueing cannot fail.

#ifndef LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_
#define LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_

#include <cstddef>

#include "runtime/base/mutex.h"
#include "runtime/specials/special.h"

namespace loam {

class FinalizerQueue {
 public:
  // First in, first out: `count` records, linked by `next`. Calls the wake
  // function if the queue was empty.
  void Push(Special* first, size_t count) LOAM_EXCLUDES(mutex_);
  // NULL when empty.
  Special* Pop() LOAM_EXCLUDES(mutex_);
  size_t size() LOAM_EXCLUDES(mutex_);

  void SetWake(void (*wake)(void* data), void* data) LOAM_EXCLUDES(mutex_);

  // Calls visit(special) for all, first to last.
  template <typename Visit>
  void ForEach(Visit&& visit) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (const Special* s = head_; s != nullptr; s = s->next) visit(*s);
  }

  void ResetAfterFork() { mutex_.ResetAfterFork(); }

 private:
  Mutex<LockRank::kFinalizerQueue> mutex_;
  Special* head_ LOAM_GUARDED_BY(mutex_) = nullptr;
  Special* tail_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t size_ LOAM_GUARDED_BY(mutex_) = 0;
  void (*wake_)(void* data) LOAM_GUARDED_BY(mutex_) = nullptr;
  void* wake_data_ LOAM_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_FINALIZER_QUEUE_H_
