// PageHeap's statistics, and the check that they are right.

#include <cstdio>

#include "runtime/heap/page_heap.h"

namespace loam {

PageHeapStats PageHeap::stats() {
  MutexLock lock(&mutex_);
  PageHeapStats stats;
  stats.memory = ledger_->counts();
  // Pages go from caches to spans meanwhile: asked once.
  const uint64_t cached_pages = CachedPages();
  stats.span_bytes = (span_pages_ - cached_pages) * kPageBytes;
  stats.free_page_bytes =
      (pages_.free_committed_pages() + scavenging_pages_ + cached_pages) *
      kPageBytes;
  stats.released_bytes =
      (pages_.free_pages() - pages_.free_committed_pages()) * kPageBytes;
  stats.reserved_bytes =
      pages_.arena_count() * kArenaBytes + address_space_.linear_left();
  stats.mapped_bytes = mapped_bytes_;
  stats.spans = span_pool_.in_use() - CachedSpans() - manual_spans_;
  stats.freed_spans = freed_spans_;
  for (size_t use = 0; use < kManualUses; use++) {
    stats.manual_bytes[use] = manual_pages_[use] * kPageBytes;
  }
  return stats;
}

bool PageHeap::CheckPages(char* problem, size_t problem_bytes) {
  MutexLock lock(&mutex_);
  return pages_.CheckInvariants(problem, problem_bytes);
}

bool PageHeap::CheckInvariants(char* problem, size_t problem_bytes) {
  MutexLock lock(&mutex_);
  if (!pages_.CheckInvariants(problem, problem_bytes)) return false;
  uint64_t pages = 0;
  uint64_t spans = 0;
  bool ok = true;
  ForEachSpan([&](const Span* span) {
    if (span == nullptr ||
        span->state.load(std::memory_order_relaxed) != SpanState::kInUse) {
      snprintf(problem, problem_bytes, "a page in use belongs to no span");
      ok = false;
      return;
    }
    pages += span->page_count;
    spans++;
    for (size_t i = 0; i < span->page_count; i++) {
      if (arena_map_.FindSpan(span->base + i * kPageBytes) != span) {
        snprintf(problem, problem_bytes, "span %p: page %zu points elsewhere",
                 static_cast<const void*>(span), i);
        ok = false;
      }
    }
  });
  const uint64_t pages_counted = span_pages_ - CachedPages() - AllManualPages();
  const uint64_t spans_counted =
      span_pool_.in_use() - CachedSpans() - manual_spans_;
  if (ok && (pages != pages_counted || spans != spans_counted)) {
    snprintf(problem, problem_bytes,
             "spans: %zu of %zu pages found, %zu of %zu counted",
             static_cast<size_t>(spans), static_cast<size_t>(pages),
             static_cast<size_t>(spans_counted),
             static_cast<size_t>(pages_counted));
    ok = false;
  }
  return ok && CheckManual(problem, problem_bytes);
}

}  // namespace loam
