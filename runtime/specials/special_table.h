// Attaches specials to objects, and decides at sweep what each kind means.
//
//   special_table.cc   records: adding, removing, one after the other
//   special_kinds.cc   what is kept of each kind
//   special_sweep.cc   what happens when objects die
//   dispose.cc         dispose functions of types

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_

#include <atomic>
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

struct FinalizerInfo {
  FinalizerCallback function;
  void* data;
  bool is_unordered = false;
};

struct CleanupInfo {
  CleanupCallback function;
  void* data;
  uintptr_t value;
};

class SpecialTable {
 public:
  SpecialTable(PersistentAllocator* persistent, PageHeap* page_heap)
      : page_heap_(page_heap),
        pool_(persistent, page_heap->record_bytes()),
        heap_profile_(persistent) {}

  // In all of these `span` is swept, and `object` an object in it that is
  // alive, or an address inside it, as Special's table says. Those that make a
  // record: kOutOfMemory. Those that want one: kNotFound.

  // kWrongState if the object has a finalizer.
  Status SetFinalizer(Span* span, uintptr_t object, const FinalizerInfo& info);
  Status ClearFinalizer(Span* span, uintptr_t object);
  bool HasFinalizer(Span* span, uintptr_t object);

  Status Pin(Span* span, uintptr_t object);
  Status Unpin(Span* span, uintptr_t object);

  // The serial number names it, together with the address.
  Status AddCleanup(Span* span, uintptr_t object, const CleanupInfo& info,
                    uint64_t* serial);
  // The object may have died: `span` is any, swept, that now lies there.
  Status RemoveCleanup(Span* span, uintptr_t object, uint64_t serial);

  // Replaces the word that was set.
  Status SetWord(Span* span, uintptr_t object, const EmbedderKind* kind,
                 uintptr_t word);
  Status GetWord(Span* span, uintptr_t object, const EmbedderKind* kind,
                 uintptr_t* word);
  Status RemoveWord(Span* span, uintptr_t object, const EmbedderKind* kind,
                    uintptr_t* word);

  // The handle of a place, the one that there is or a new one: once more to
  // give back.
  Status TakeWeakHandle(Span* span, uintptr_t address, bool is_long,
                        const void* owner, WeakHandle** handle);
  Status Watch(Span* span, uintptr_t object, const void* owner,
               WeakHandle** watch);
  // `span` NULL: the handle has been cleared.
  void GiveWeakHandle(Span* span, WeakHandle* handle);
  void GiveWatch(Span* span, WeakHandle* watch);

  // Of an object that has been sampled, once; its death is counted in the
  // bucket. kOutOfMemory.
  Status AddProfile(Span* span, uintptr_t cell, ProfileBucket* bucket,
                    double objects);
  // The world is stopped, a marking over, and the span not swept since: whether
  // the object is certain to be dead then. Sweeping keeps one that is not
  // marked but has a finalizer; this only asks whether any of its span could
  // have.
  bool WillDie(Span* span, uintptr_t cell);

  // Called by the span's sweeper before it looks at mark bits: every unmarked
  // object with a finalizer is marked, so that it lives for one more cycle, and
  // its finalizer queued. Records of the dead go.
  void SweepSpecials(Span* span);

  // The same, after SweepSpecials, for a span that may_dispose(): calls the
  // dispose functions of unmarked objects, or marks the objects and lets them
  // wait.
  void DisposeDead(Span* span);
  // Takes an object of the span that waits; false if there is none. `span` is
  // swept and has been found by FinalizerQueue::FirstWaiting in this
  // generation; the caller calls the dispose function, and roots the object
  // meanwhile.
  bool TakeWaiting(Span* span, uintptr_t* object, const Type** type);
  // The heap is about to go: calls the dispose functions of all that is left.
  void DisposeAll();

  // The world is stopped, marking done, and mark bits decide who is dead: the
  // unordered finalizers of the dead are queued, newest registration first.
  // Whether there were any; their objects are marked by whoever traces the
  // queue next. If the heap has such finalizers, short weak handles and watches
  // of all dead objects are cleared here: afterwards some look alive.
  bool QueueUnordered();

  // The world is stopped, everything swept, and a marking about to begin.
  void BeginMarking();
  // That marking is over: how many bytes of records will be left when
  // everything is swept. Which objects are dead is known then; until then the
  // same share of records is taken to go as went after the last marking. What
  // waits on the queue stays until somebody runs it. (Counting all records
  // would let a heap grow without end whose objects have cleanups and die.)
  uint64_t PredictRecordBytes();

  // The heap is about to go: queues every finalizer, cleanup and embedder's
  // record that is left, whether its object is alive or not; finalizers come
  // newest first if they are unordered. No mutator is running.
  void QueueAll();

  // Calls visit(special) for all that the span has.
  template <typename Visit>
  void ForEach(Span* span, Visit&& visit) {
    SpinLockHolder lock(&span->specials_lock);
    for (const Special* s = span->specials; s != nullptr; s = s->next) {
      visit(*s);
    }
  }
  // Calls visit(span) for every span that has specials. The world is stopped.
  template <typename Visit>
  void ForEachSpan(Visit&& visit);

  // Gives back a record that was taken off the queue.
  void FreeRecord(Special* special) {
    queued_bytes_.Subtract(RecordBytes(*special));
    pool_.Give(special);
  }

  FinalizerQueue* finalizer_queue() { return &queue_; }
  HeapProfile* heap_profile() { return &heap_profile_; }
  uint64_t finalizers_set() const { return finalizers_set_.Get(); }
  uint64_t cleanups_set() const { return cleanups_set_.Get(); }
  uint64_t pinned_objects() const { return pinned_objects_.Get(); }
  uint64_t weak_handles() const { return weak_handles_.Get(); }
  void ResetAfterFork() { queue_.ResetAfterFork(); }

 private:
  class Due;

  static uint64_t RecordBytes(const Special& special) {
    return SpecialBytes(special.height, special.has_extra);
  }

  // Makes a record; what belongs to its kind is set by set(special) before it
  // goes into the list. kWrongState if there is one with this key,
  // kOutOfMemory.
  template <typename Set>
  Status Add(Span* span, uintptr_t address, SpecialKind kind, bool has_extra,
             Set&& set) LOAM_REQUIRES(span->specials_lock);
  // NULL if there is none.
  Special* Find(Span* span, const SpecialKey& key)
      LOAM_REQUIRES(span->specials_lock) {
    return SpecialList(span).Find(key);
  }
  Special* Remove(Span* span, const SpecialKey& key)
      LOAM_REQUIRES(span->specials_lock);
  Status Insert(Span* span, Special* special)
      LOAM_REQUIRES(span->specials_lock);
  // After records have been taken off.
  void FreeIndexIfEmpty(Span* span) LOAM_REQUIRES(span->specials_lock);
  void SetPageBit(const Span* span, bool value);

  // Those of the unmarked objects that have to wait.
  void KeepForDispose(Span* span);
  // The object of a weak handle or watch is dead, or the watch has seen what it
  // waited for.
  void ClearHandle(WeakHandle* handle);
  void DropReference(WeakHandle* handle);
  // The same, of a record that is leaving its list.
  void ClearWeakHandle(Special* special, Due* due);
  void AnswerWatch(Special* special, bool reached, Due* due);
  // Frees, or puts on the queue, what has left its list.
  void Settle(Due* due);

  PageHeap* const page_heap_;
  SpecialPool pool_;
  FinalizerQueue queue_;
  // Of records on the queue, and being run; of those that their objects' death
  // has taken off lists, since the heap was created.
  Counter queued_bytes_;
  Counter died_bytes_;
  // The world's stopper only. As the last marking began; and what share of the
  // records that the one before found on lists had not died by then.
  uint64_t listed_at_marking_ = 0;
  uint64_t died_at_marking_ = 0;
  double survival_ = 1;
  // Relaxed: only has to differ from call to call.
  std::atomic<uint64_t> next_serial_{1};
  HeapProfile heap_profile_;
  Counter finalizers_set_;
  Counter unordered_set_;  // of those
  Counter cleanups_set_;
  Counter pinned_objects_;
  Counter weak_handles_;  // of objects that are not known to be dead
};

template <typename Set>
Status SpecialTable::Add(Span* span, uintptr_t address, SpecialKind kind,
                         bool has_extra, Set&& set) {
  Special* special = pool_.Take(has_extra);
  if (special == nullptr) return Status::kOutOfMemory;
  special->address = address;
  special->kind = kind;
  set(special);
  return Insert(span, special);
}

template <typename Visit>
void SpecialTable::ForEachSpan(Visit&& visit) {
  page_heap_->ForEachArena([&](const Arena* arena) {
    for (size_t w = 0; w < kPagesPerArena / kBitsPerWord; w++) {
      // Relaxed: the stop has synchronised it.
      uint64_t bits = arena->page_specials[w].load(std::memory_order_relaxed);
      for (; bits != 0; bits &= bits - 1) {
        const size_t page = w * kBitsPerWord + std::countr_zero(bits);
        visit(arena->spans[page].load(std::memory_order_relaxed));
      }
    }
  });
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_TABLE_H_
