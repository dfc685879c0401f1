#include "runtime/sweep/span_source.h"

namespace loam {
namespace {

// Spans that one request may sweep in vain before it takes a fresh one. Bounds
// the time of an allocation, at the price of about one percent of space.
constexpr int kSweepBudget = 100;

// Chunks in which a request may look for dead spans in vain. Larger requests
// look everywhere: to zero their pages takes longer than that, and each chunk
// is looked at once in a cycle.
constexpr size_t kChunkBudget = 16;
constexpr size_t kLargePages = 128;

}  // namespace

Span* SpanSource::Cache(Span* span, uint32_t generation) {
  const size_t cells = span->cell_count - span->allocated_cells;
  counters_->live_estimate.Add(cells * span->cell_bytes);
  // Relaxed: the span is the caller's alone.
  span->sweepgen.store(Cached(generation), std::memory_order_relaxed);
  return span;
}

Span* SpanSource::TakeCentral(CentralSpanList* central, uint32_t generation,
                              const SweptSpan& used) {
  ActiveSweep active(sweeper_->active());
  SweptSpan full = used;
  for (int budget = kSweepBudget; budget > 0; budget--) {
    bool is_swept;
    // If drained, what is found is swept.
    Span* span = central->TakeForAllocation(generation, &is_swept, full);
    full = {};
    if (span == nullptr || is_swept) return span;
    SweepToken token = SweepToken::TryAcquire(span, generation);
    if (!token) continue;
    span = sweeper_->Sweep(std::move(token), &active);
    if (span->allocated_cells < span->cell_count) return span;
    full = {span, /*full=*/true};
  }
  if (full.span != nullptr) central->PushSwept(full, generation);
  return nullptr;
}

Span* SpanSource::Acquire(const SpanShape& shape, MayGrow may_grow,
                          HeapCache* cache, Span* used) {
  const uint32_t generation = sweeper_->generation();
  sweeper_->Register(shape);
  const SweptSpan returned =
      used != nullptr ? Uncache(used, generation) : SweptSpan{};
  Span* span = TakeCentral(shape.central, generation, returned);
  if (span == nullptr) span = TakePages(shape, generation, may_grow, cache);
  if (span == nullptr) {
    // What is not swept yet, or being swept at this moment by others, is
    // cheaper than a collection.
    sweeper_->SweepAllAndWait();
    span = TakeCentral(shape.central, generation);
    if (span == nullptr) span = TakePages(shape, generation, may_grow, cache);
  }
  if (span == nullptr) return nullptr;
  Cache(span, generation);
  sweeper_->PayDebt();
  return span;
}

// A fresh span: first as many pages are reclaimed, so that the heap does not
// grow while dead pages wait, then more of them until there is a run of free
// pages, and then the heap grows if it may.
Span* SpanSource::TakePages(const SpanShape& shape, uint32_t generation,
                            MayGrow may_grow, HeapCache* cache) {
  const SoftLimit soft_limit = may_grow == MayGrow::kWithinSoftLimit
                                   ? SoftLimit::kKeep
                                   : SoftLimit::kMayExceed;
  const size_t max_chunks = shape.pages < kLargePages ? kChunkBudget : SIZE_MAX;
  bool more =
      !sweeper_->is_drained() && sweeper_->Reclaim(shape.pages, max_chunks);
  while (more) {
    Span* span = page_heap_->AllocateSpan(shape, generation, /*may_grow=*/false,
                                          cache, soft_limit);
    if (span != nullptr) return span;
    more = sweeper_->Reclaim(shape.pages, max_chunks) && max_chunks == SIZE_MAX;
  }
  return page_heap_->AllocateSpan(shape, generation, may_grow != MayGrow::kNo,
                                  cache, soft_limit);
}

void SpanSource::Release(Span* span) {
  const uint32_t generation = sweeper_->generation();
  const SweptSpan returned = Uncache(span, generation);
  if (returned.span != nullptr) span->central->PushSwept(returned, generation);
}

SweptSpan SpanSource::Uncache(Span* span, uint32_t generation) {
  const SweepState state =
      SweepStateOf(span->sweepgen.load(std::memory_order_relaxed), generation);
  const size_t free_cells = FreeCells(span);
  const size_t free_bytes = free_cells * span->cell_bytes;
  const size_t allocated_cells = span->cell_count - free_cells;
  const size_t taken_cells = allocated_cells - span->allocated_cells;
  span->allocated_cells = static_cast<uint16_t>(allocated_cells);
  if (state == SweepState::kCachedStale) {
    // The cycle has counted it as allocated.
    counters_->allocated_bytes.Subtract(free_bytes);
    span->central->Count(span, taken_cells);
    sweeper_->SweepAndReturn(SweepToken::TakeStale(span, generation));
    return {};
  }
  LOAM_CHECK(state == SweepState::kCached,
             "released span %p has sweepgen %u in generation %u",
             static_cast<void*>(span),
             span->sweepgen.load(std::memory_order_relaxed), generation);
  // Full spans, which is what a refill releases, leave the estimate alone.
  if (free_cells > 0) counters_->live_estimate.Subtract(free_bytes);
  span->sweepgen.store(Swept(generation), std::memory_order_release);
  return {span, free_cells == 0, taken_cells};
}

Span* SpanSource::AcquireLarge(const SpanShape& shape, MayGrow may_grow,
                               HeapCache* cache) {
  sweeper_->Register(shape);
  const uint32_t generation = sweeper_->generation();
  Span* span = TakePages(shape, generation, may_grow, cache);
  if (span == nullptr) {
    sweeper_->SweepAllAndWait();
    span = TakePages(shape, generation, may_grow, cache);
  }
  if (span == nullptr) return nullptr;
  span->set_free_index(1);
  span->allocated_cells = 1;
  counters_->live_estimate.Add(span->cell_bytes);
  shape.central->PushSwept({span, /*full=*/true, /*allocated_cells=*/1},
                           generation);
  sweeper_->PayDebt();
  return span;
}

}  // namespace loam
