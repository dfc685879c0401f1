// Sweeping: turning the mark bits of a span into its alloc bits.
//
// A span is swept once per cycle, by whoever gets its token first: a mutator
// that wants its free cells, a mutator that wants its pages, somebody about to
// touch its specials, or the next cycle, which cannot start before every span
// is swept. Sweepers never stop the world and are never stopped in the middle
// of a span: there is no safepoint in here.

#ifndef LOAM_RUNTIME_SWEEP_SWEEPER_H_
#define LOAM_RUNTIME_SWEEP_SWEEPER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/page_heap.h"
#include "runtime/specials/special_table.h"
#include "runtime/sweep/central_span_list.h"
#include "runtime/sweep/sweep_token.h"

namespace loam {

class Sweeper {
 public:
  // In scope while a thread may hold an unswept span that is on no list.
  class ActiveScope {
   public:
    explicit ActiveScope(Sweeper* sweeper) : sweeper_(sweeper) {
      sweeper_->active_.fetch_add(1, std::memory_order_seq_cst);
    }
    ~ActiveScope() {
      sweeper_->active_.fetch_sub(1, std::memory_order_seq_cst);
    }
    ActiveScope(const ActiveScope&) = delete;
    ActiveScope& operator=(const ActiveScope&) = delete;

   private:
    Sweeper* const sweeper_;
  };

  Sweeper(PageHeap* page_heap, SpecialTable* specials, HeapCounters* counters,
          bool poison)
      : page_heap_(page_heap),
        specials_(specials),
        counters_(counters),
        poison_(poison) {}

  uint32_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  // The world is stopped, marking done: everything swept needs sweeping again.
  void NextGeneration();

  // Sweeps a span and publishes it. It is on no list afterwards, and has a
  // count of live cells.
  Span* Sweep(SweepToken token);
  // Sweeps a span and gives it back: to the page heap if nothing in it is
  // alive, else to its central list. Returns the pages freed.
  size_t SweepAndReturn(SweepToken token);

  // Sweeps one span from anywhere in the heap. False if none is left to take.
  // For tests; Reclaim gives several dead spans back together.
  bool SweepOne(size_t* pages_freed);
  // Sweeps until `pages` are freed or nothing is left to take.
  void Reclaim(size_t pages);
  // Sweeps until nothing is left to take; others may still be at a span.
  void SweepAll();
  // The same, and waits for those others.
  void SweepAllAndWait();

  // Returns when the span is swept. The caller keeps an object of it alive.
  void EnsureSwept(Span* span);

  // Makes a central list known to SweepOne, before it gets its first span.
  void Register(CentralSpanList* list) LOAM_EXCLUDES(registry_mutex_);

  void ResetAfterFork() { registry_mutex_.ResetAfterFork(); }

 private:
  // Dead spans on their way to the page heap, which takes several at a time for
  // less. If it collects more than one, then inside an ActiveScope: who waits
  // for sweepers wants the pages.
  class DeadSpans {
   public:
    explicit DeadSpans(PageHeap* page_heap) : page_heap_(page_heap) {}
    ~DeadSpans() { Free(); }
    DeadSpans(const DeadSpans&) = delete;
    DeadSpans& operator=(const DeadSpans&) = delete;

    void Add(Span* span) {
      pages_ += span->page_count;
      waiting_pages_ += span->page_count;
      spans_[count_++] = span;
      if (count_ == kMaxSpans || waiting_pages_ >= kMaxPages) Free();
    }
    // Of all that were added.
    size_t pages() const { return pages_; }

   private:
    // Others may grow the heap for want of these.
    static constexpr size_t kMaxSpans = 32;
    static constexpr size_t kMaxPages = 128;

    void Free() {
      if (count_ > 0) page_heap_->FreeSpans(spans_, count_);
      count_ = 0;
      waiting_pages_ = 0;
    }

    PageHeap* const page_heap_;
    size_t count_ = 0;
    size_t waiting_pages_ = 0;
    size_t pages_ = 0;
    Span* spans_[kMaxSpans];
  };

  // Runs what happens at the death of objects, and counts the live ones.
  void FindDead(Span* span);
  // Makes the cells of the dead free, and the span ready to be marked.
  void ReuseCells(Span* span);
  // The same as SweepAndReturn and SweepOne, with the dead left to `dead`.
  void SweepInto(DeadSpans* dead, SweepToken token);
  bool SweepOneInto(DeadSpans* dead);
  void CheckNoZombies(const Span* span) const;
  void PoisonFreed(const Span* span) const;

  PageHeap* const page_heap_;
  SpecialTable* const specials_;
  HeapCounters* const counters_;
  const bool poison_;

  // Changes while the world is stopped. Release and acquire: a thread outside
  // the stop (EnsureSwept from a native thread is not one) sees the lists that
  // go with it.
  std::atomic<uint32_t> generation_{kFirstGeneration};
  // ActiveScopes. Sequentially consistent with the cursor: SweepAll
  // reads it after it found nothing left.
  std::atomic<uint32_t> active_{0};
  // The list that SweepOne takes from; lists before it are drained. NULL: all
  // are.
  std::atomic<CentralSpanList*> cursor_{nullptr};

  Mutex<LockRank::kCentralList> registry_mutex_;
  // Newest first. Written under the lock with release.
  std::atomic<CentralSpanList*> registered_{nullptr};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEPER_H_
