#include "runtime/sweep/span_source.h"

namespace loam {
namespace {

// Spans that one request may sweep in vain before it takes a fresh one. Bounds
// the time of an allocation, at the price of about one percent of space.
constexpr int kSweepBudget = 100;

}  // namespace

Span* SpanSource::Cache(Span* span, uint32_t generation) {
  counters_->live_estimate.Add(FreeCells(span) * span->cell_bytes);
  // Relaxed: the span is the caller's alone.
  span->sweepgen.store(Cached(generation), std::memory_order_relaxed);
  return span;
}

Span* SpanSource::TakeCentral(CentralSpanList* central, uint32_t generation) {
  const Sweeper::ActiveScope active(sweeper_);
  for (int budget = kSweepBudget; budget > 0; budget--) {
    bool is_swept;
    Span* span = central->TakeForAllocation(generation, &is_swept);
    if (span == nullptr || is_swept) return span;
    SweepToken token = SweepToken::TryAcquire(span, generation);
    if (!token) continue;
    span = sweeper_->Sweep(std::move(token));
    if (span->live_cells < span->cell_count) return span;
    central->PushSwept(span, /*full=*/true, generation);
  }
  return nullptr;
}

Span* SpanSource::Acquire(const SpanShape& shape, MayGrow may_grow,
                          HeapCache* cache) {
  const uint32_t generation = sweeper_->generation();
  sweeper_->Register(shape.central);
  Span* span = TakeCentral(shape.central, generation);
  if (span == nullptr) span = FreePages(shape, generation, cache);
  // By now everything has been swept, by this thread or others, and spans that
  // were skipped before, or found by them, may have free cells.
  if (span == nullptr) span = TakeCentral(shape.central, generation);
  if (span == nullptr) span = Grow(shape, generation, may_grow);
  if (span == nullptr) {
    // What others are sweeping at this moment is cheaper than a collection.
    sweeper_->SweepAllAndWait();
    span = TakeCentral(shape.central, generation);
  }
  if (span == nullptr) span = Grow(shape, generation, may_grow);
  return span == nullptr ? nullptr : Cache(span, generation);
}

// From the page heap as it is, sweeping until it has enough; NULL when all is
// swept and no run of free pages is long enough.
Span* SpanSource::FreePages(const SpanShape& shape, uint32_t generation,
                            HeapCache* cache) {
  Span* span =
      page_heap_->AllocateSpan(shape, generation, /*may_grow=*/false, cache);
  if (span != nullptr) return span;
  sweeper_->Reclaim(shape.pages);
  span = page_heap_->AllocateSpan(shape, generation, /*may_grow=*/false, cache);
  if (span != nullptr) return span;
  // The pages freed are not adjacent.
  sweeper_->SweepAll();
  return page_heap_->AllocateSpan(shape, generation, /*may_grow=*/false, cache);
}

Span* SpanSource::Grow(const SpanShape& shape, uint32_t generation,
                       MayGrow may_grow) {
  return page_heap_->AllocateSpan(shape, generation, may_grow == MayGrow::kYes);
}

void SpanSource::Release(Span* span) {
  const uint32_t generation = sweeper_->generation();
  const SweepState state =
      SweepStateOf(span->sweepgen.load(std::memory_order_relaxed), generation);
  if (state == SweepState::kCachedStale) {
    // The cycle has counted it as allocated.
    counters_->allocated_bytes.Subtract(FreeCells(span) * span->cell_bytes);
    sweeper_->SweepAndReturn(SweepToken::TakeStale(span, generation));
    return;
  }
  LOAM_CHECK(state == SweepState::kCached,
             "released span %p has sweepgen %u in generation %u",
             static_cast<void*>(span),
             span->sweepgen.load(std::memory_order_relaxed), generation);
  // Full spans, which is what a refill releases, leave the counter alone.
  const size_t free_bytes = FreeCells(span) * span->cell_bytes;
  if (free_bytes > 0) counters_->live_estimate.Subtract(free_bytes);
  span->sweepgen.store(Swept(generation), std::memory_order_release);
  span->central->PushSwept(span, free_bytes == 0, generation);
}

Span* SpanSource::AcquireLarge(const SpanShape& shape, MayGrow may_grow,
                               HeapCache* cache) {
  sweeper_->Register(shape.central);
  const uint32_t generation = sweeper_->generation();
  Span* span = FreePages(shape, generation, cache);
  if (span == nullptr) span = Grow(shape, generation, may_grow);
  if (span == nullptr) {
    sweeper_->SweepAllAndWait();
    span = Grow(shape, generation, may_grow);
  }
  if (span == nullptr) return nullptr;
  span->set_free_index(1);
  counters_->live_estimate.Add(span->cell_bytes);
  shape.central->PushSwept(span, /*full=*/true, generation);
  return span;
}

}  // namespace loam
