// What a thread that sweeps several spans has done and not told yet: dead spans
// on their way to the page heap, which takes several at a time for less, and
// how many pages it has swept. Lives inside an ActiveSweep: who waits for
// sweepers wants the pages.

#ifndef LOAM_RUNTIME_SWEEP_SWEEP_BATCH_H_
#define LOAM_RUNTIME_SWEEP_SWEEP_BATCH_H_

#include <cstddef>

#include "runtime/base/race_hooks.h"
#include "runtime/heap/page_heap.h"
#include "runtime/sweep/active_sweeps.h"

namespace loam {

class SweepBatch {
 public:
  SweepBatch(PageHeap* page_heap, ActiveSweeps* sweeps)
      : page_heap_(page_heap), sweeps_(sweeps) {}
  ~SweepBatch() {
    TellSwept();
    FreeDead();
  }
  SweepBatch(const SweepBatch&) = delete;
  SweepBatch& operator=(const SweepBatch&) = delete;

  void CountSwept(const Span* span) {
    swept_pages_ += span->page_count;
    untold_pages_ += span->page_count;
    if (untold_pages_ >= kMaxUntoldPages) TellSwept();
  }
  // The span is swept, on no list, and nothing in it is alive.
  void AddDead(Span* span) {
    dead_pages_ += span->page_count;
    waiting_pages_ += span->page_count;
    dead_[dead_count_++] = span;
    if (dead_count_ == kMaxDead || waiting_pages_ >= kMaxDeadPages) FreeDead();
  }
  // Of all that were counted, and of those that were dead.
  size_t swept_pages() const { return swept_pages_; }
  size_t dead_pages() const { return dead_pages_; }

 private:
  // Others may sweep more than is due for want of the count, and grow the heap
  // for want of the pages.
  static constexpr size_t kMaxUntoldPages = 32;
  static constexpr size_t kMaxDead = 32;
  static constexpr size_t kMaxDeadPages = 128;

  void TellSwept() {
    if (untold_pages_ == 0) return;
    sweeps_->CountPages(untold_pages_);
    untold_pages_ = 0;
  }
  void FreeDead() {
    if (dead_count_ == 0) return;
    AtRacePoint(RacePoint::kSpansDead);
    page_heap_->FreeSpans(dead_, dead_count_);
    dead_count_ = 0;
    waiting_pages_ = 0;
  }

  PageHeap* const page_heap_;
  ActiveSweeps* const sweeps_;
  size_t swept_pages_ = 0;
  size_t untold_pages_ = 0;
  size_t dead_pages_ = 0;
  size_t waiting_pages_ = 0;
  size_t dead_count_ = 0;
  Span* dead_[kMaxDead];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEP_BATCH_H_
