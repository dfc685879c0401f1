// Dead spans on their way from a sweeper to the page heap, which takes several
// at a time for less. One that collects more than one span lives inside an
// ActiveScope: who waits for sweepers wants the pages.

#ifndef LOAM_RUNTIME_SWEEP_DEAD_SPANS_H_
#define LOAM_RUNTIME_SWEEP_DEAD_SPANS_H_

#include <cstddef>

#include "runtime/base/race_hooks.h"
#include "runtime/heap/page_heap.h"

namespace loam {

class DeadSpans {
 public:
  explicit DeadSpans(PageHeap* page_heap) : page_heap_(page_heap) {}
  ~DeadSpans() { Free(); }
  DeadSpans(const DeadSpans&) = delete;
  DeadSpans& operator=(const DeadSpans&) = delete;

  // The span is swept, on no list, and nothing in it is alive.
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
    if (count_ == 0) return;
    AtRacePoint(RacePoint::kSpansDead);
    page_heap_->FreeSpans(spans_, count_);
    count_ = 0;
    waiting_pages_ = 0;
  }

  PageHeap* const page_heap_;
  size_t count_ = 0;
  size_t waiting_pages_ = 0;
  size_t pages_ = 0;
  Span* spans_[kMaxSpans];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_DEAD_SPANS_H_
