// Finalizers whose objects were found dead, waiting for the embedder to run
// them. Queued objects are roots until their finalizer has been taken off.
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
  // First in, first out. Calls the wake function if the queue was empty.
  void Push(Special* finalizer) LOAM_EXCLUDES(mutex_);
  // NULL when empty.
  Special* Pop() LOAM_EXCLUDES(mutex_);
  size_t size() LOAM_EXCLUDES(mutex_);

  void SetWake(void (*wake)(void* data), void* data) LOAM_EXCLUDES(mutex_);

  // Calls visit(object) for every queued object.
  template <typename Visit>
  void ForEachObject(Visit&& visit) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (Special* f = head_; f != nullptr; f = f->next) visit(f->object());
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
