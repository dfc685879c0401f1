// Attaches specials to objects, and decides at sweep what each kind means.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/base/status.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_heap.h"
#include "runtime/specials/finalizer_queue.h"
#include "runtime/specials/special.h"

namespace loam {

class SpecialTable {
 public:
  SpecialTable(PersistentAllocator* persistent, PageHeap* page_heap)
      : page_heap_(page_heap), pool_(persistent) {}

  // `span` is swept, and `cell` the base of an allocated cell of it.
  // kWrongState if the object has a finalizer, kOutOfMemory.
  Status SetFinalizer(Span* span, uintptr_t cell, FinalizerCallback function,
                      void* data);
  // kNotFound if there is none.
  Status ClearFinalizer(Span* span, uintptr_t cell);
  bool HasFinalizer(Span* span, uintptr_t cell);

  // Called by the span's sweeper before it looks at mark bits: every unmarked
  // object with a finalizer is marked, so that it lives for one more cycle, and
  // its finalizer queued.
  void SweepSpecials(Span* span);

  // Calls visit(cell) for every object of the span that has a finalizer.
  template <typename Visit>
  void ForEachFinalizable(Span* span, Visit&& visit) {
    SpinLockHolder lock(&span->specials_lock);
    for (Special* s = span->specials; s != nullptr; s = s->next) {
      if (s->kind == SpecialKind::kFinalizer) visit(uintptr_t{s->cell});
    }
  }

  // Gives back the record of a finalizer that was taken off the queue.
  void FreeRecord(Special* special) LOAM_EXCLUDES(pool_mutex_);

  FinalizerQueue* finalizer_queue() { return &queue_; }
  uint64_t finalizers_set() const { return finalizers_set_.Get(); }
  void ResetAfterFork() {
    pool_mutex_.ResetAfterFork();
    queue_.ResetAfterFork();
  }

 private:
  // The link that points to the first special at or after (cell, kind).
  Special** FindLink(Span* span, uintptr_t cell, SpecialKind kind)
      LOAM_REQUIRES(span->specials_lock);
  void SetPageBit(const Span* span, bool value);

  PageHeap* const page_heap_;
  Mutex<LockRank::kSpecialPool> pool_mutex_;
  FixedPool<Special> pool_ LOAM_GUARDED_BY(pool_mutex_);
  FinalizerQueue queue_;
  Counter finalizers_set_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
