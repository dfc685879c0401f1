// Sweeping: turning the mark bits of a span into its alloc bits.
//
// A span is swept once per cycle, by whoever gets its token first: a mutator
// that wants its free cells or its pages, or that sweeps in proportion to what
// it allocates; the heap's background thread; somebody about to touch its
// specials; or the next cycle, which cannot start before every span is swept.
// Sweepers never stop the world and are never stopped in the middle of a span:
// there is no safepoint in here.

#ifndef LOAM_RUNTIME_SWEEP_SWEEPER_H_
#define LOAM_RUNTIME_SWEEP_SWEEPER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"
#include "runtime/specials/special_table.h"
#include "runtime/sweep/active_sweeps.h"
#include "runtime/sweep/central_span_list.h"
#include "runtime/sweep/page_reclaimer.h"
#include "runtime/sweep/sweep_batch.h"
#include "runtime/sweep/sweep_pacer.h"
#include "runtime/sweep/sweep_token.h"

namespace loam {

class Sweeper {
 public:
  Sweeper(PageHeap* page_heap, SpecialTable* specials, HeapCounters* counters,
          bool poison)
      : page_heap_(page_heap),
        specials_(specials),
        counters_(counters),
        poison_(poison),
        reclaimer_(page_heap, this) {}

  uint32_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  // The world is stopped, marking done: everything swept needs sweeping again.
  void NextGeneration();
  // The same stop, when the trigger of the next cycle is known: sweeping is to
  // be over by then. So many mutators allocate.
  void StartPacing(uint64_t trigger, uint32_t mutators);
  // The trigger has changed. Any thread.
  void MoveTrigger(uint64_t trigger) {
    pacer_.MoveBasis(swept_pages(), ChargedBytes(), trigger);
  }

  // Sweeps a span and publishes it. It is on no list afterwards, and has a
  // count of live cells.
  Span* Sweep(SweepToken token, ActiveSweep* active);
  // Sweeps a span and gives it back: to the page heap if nothing in it is
  // alive, else to its central list. Returns the pages freed.
  size_t SweepAndReturn(SweepToken token);
  // The same as a part of a batch.
  void SweepInto(SweepBatch* batch, SweepToken token);

  // Sweeps up to `spans` from anywhere in the heap. False if none is left to
  // take. Writes the pages freed.
  bool SweepSome(size_t spans, size_t* pages_freed);
  // What is due, after bytes have been charged to the heap.
  void PayDebt() {
    if (Debt() > 0) SweepDebt();
  }
  // Frees `pages` by sweeping dead spans, looking at `max_chunks` times 4 MiB
  // of the heap at most. False if there are no more dead spans, but for those
  // that others are sweeping.
  bool Reclaim(size_t pages, size_t max_chunks);
  // Sweeps until nothing is left to take; others may still be at a span.
  // Returns how many spans this thread has swept.
  size_t SweepAll();
  // The same, and waits for those others.
  void SweepAllAndWait();

  // Every span is swept.
  bool is_done() const { return active_.is_done(); }
  // A hint.
  bool is_drained() const { return active_.is_drained(); }
  // Since the heap was created.
  uint64_t swept_pages() const { return active_.swept_pages(); }
  ActiveSweeps* active() { return &active_; }

  // Returns when the span is swept. The caller runs in the heap, between two
  // safepoints; the span is or was in use in this generation.
  void EnsureSwept(Span* span);

  // Makes the shape's central list known, before it gets its first span.
  void Register(const SpanShape& shape) {
    if (shape.central->registered.load(std::memory_order_relaxed)) return;
    RegisterNew(shape);
  }
  // Calls visit(list) for every list that has been registered. Any thread.
  template <typename Visit>
  void ForEachList(Visit&& visit) const {
    for (const CentralSpanList* list =
             registered_.load(std::memory_order_acquire);
         list != nullptr; list = list->next_registered) {
      visit(*list);
    }
  }

  void ResetAfterFork() { registry_mutex_.ResetAfterFork(); }

 private:
  bool IsSwept(const Span& span) const;
  uint64_t ChargedBytes() const {
    return counters_->ChargedBytes(page_heap_->record_bytes()->Get());
  }

  void RegisterNew(const SpanShape& shape) LOAM_EXCLUDES(registry_mutex_);
  uint64_t Debt() const { return pacer_.Debt(swept_pages(), ChargedBytes()); }

  SweepBatch NewBatch() { return SweepBatch(page_heap_, &active_); }
  // SweepInto for a span that is on no list.
  void SweepUnlisted(SweepBatch* batch, SweepToken token);
  // Runs what happens at the death of objects, and counts the live ones.
  void FindDead(Span* span);
  // Makes the cells of the dead free, and the span ready to be marked.
  void ReuseCells(Span* span);
  // The caller of these is in an ActiveSweep.
  //
  // The list after one that has nothing unswept.
  CentralSpanList* PassDrained(CentralSpanList* list);
  // No list has anything unswept.
  void SetDrained();
  // Whether any list has something unswept; otherwise sweeping is drained.
  bool FindUnswept();
  // Sweeps a span from anywhere; false, and sweeping is drained, if there is
  // none.
  bool SweepOneInto(SweepBatch* batch);
  void SweepDebt();
  void CheckNoZombies(const Span* span) const;
  void PoisonFreed(const Span* span) const;

  PageHeap* const page_heap_;
  SpecialTable* const specials_;
  HeapCounters* const counters_;
  const bool poison_;
  PageReclaimer reclaimer_;
  SweepPacer pacer_;

  // Changes while the world is stopped. Release and acquire: a thread outside
  // the stop sees the lists and marks that go with it.
  std::atomic<uint32_t> generation_{kFirstGeneration};
  ActiveSweeps active_;
  // The list that SweepSome takes from; lists before it are drained. NULL: all
  // are. Acquire and release, for what the lists are linked by.
  std::atomic<CentralSpanList*> cursor_{nullptr};

  Mutex<LockRank::kCentralList> registry_mutex_;
  // Newest first. Written under the lock with release.
  std::atomic<CentralSpanList*> registered_{nullptr};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEPER_H_
