// Attaches specials to objects, and decides at sweep what each kind means.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/status.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"
#include "runtime/specials/finalizer_queue.h"
#include "runtime/specials/heap_profile.h"
#include "runtime/specials/special.h"
#include "runtime/specials/special_list.h"
#include "runtime/specials/special_pool.h"

namespace loam {

class SpecialTable {
 public:
  SpecialTable(PersistentAllocator* persistent, PageHeap* page_heap)
      : page_heap_(page_heap),
        pool_(persistent, page_heap->record_bytes()),
        heap_profile_(persistent) {}

  // `span` is swept, and `cell` the base of an allocated cell of it.
  // kWrongState if the object has a finalizer, kOutOfMemory.
  Status SetFinalizer(Span* span, uintptr_t cell, FinalizerCallback function,
                      void* data);
  // kNotFound if there is none.
  Status ClearFinalizer(Span* span, uintptr_t cell);
  bool HasFinalizer(Span* span, uintptr_t cell);

  // The same about the span and the cell. kOutOfMemory.
  Status Pin(Span* span, uintptr_t cell);
  // kNotFound if it is not pinned.
  Status Unpin(Span* span, uintptr_t cell);

  // Of an object that has been sampled, once; its death is counted in the
  // bucket. kOutOfMemory.
  Status AddProfile(Span* span, uintptr_t cell, ProfileBucket* bucket,
                    double objects);

  // Called by the span's sweeper before it looks at mark bits: every unmarked
  // object with a finalizer is marked, so that it lives for one more cycle, and
  // its finalizer queued.
  void SweepSpecials(Span* span);

  // Calls visit(special) for all that the span has.
  template <typename Visit>
  void ForEach(Span* span, Visit&& visit) {
    SpinLockHolder lock(&span->specials_lock);
    for (const Special* s = span->specials; s != nullptr; s = s->next) {
      visit(*s);
    }
  }

  // Gives back the record of a finalizer that was taken off the queue.
  void FreeRecord(Special* special) { pool_.Give(special); }

  FinalizerQueue* finalizer_queue() { return &queue_; }
  HeapProfile* heap_profile() { return &heap_profile_; }
  uint64_t finalizers_set() const { return finalizers_set_.Get(); }
  uint64_t pinned_objects() const { return pinned_objects_.Get(); }
  void ResetAfterFork() {
    pool_.ResetAfterFork();
    queue_.ResetAfterFork();
  }

 private:
  // Makes a record; what belongs to its kind is the caller's to set.
  // kWrongState if there is one with this key, kOutOfMemory.
  Status Add(Span* span, const SpecialKey& key, Special** added)
      LOAM_REQUIRES(span->specials_lock);
  // NULL if there is none.
  Special* Remove(Span* span, const SpecialKey& key)
      LOAM_REQUIRES(span->specials_lock);
  // After records have been taken off.
  void FreeIndexIfEmpty(Span* span) LOAM_REQUIRES(span->specials_lock);
  void SetPageBit(const Span* span, bool value);

  PageHeap* const page_heap_;
  SpecialPool pool_;
  FinalizerQueue queue_;
  HeapProfile heap_profile_;
  Counter finalizers_set_;
  Counter pinned_objects_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
