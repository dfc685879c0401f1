// PageHeap's manual spans: pages that hold no objects.
//
// What finds objects by their address finds none here, since the pages' entries
// in Arena::spans stay NULL. Which span they belong to is in a table of their
// own, Arena::manual_spans, of arenas that have any.

#include <cstdio>
#include <cstring>

#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"

namespace loam {

// Makes the pages' entries point to `span`; NULL clears them, which cannot
// fail.
bool PageHeap::SetManual(uintptr_t address, size_t pages, Span* span) {
  for (size_t i = 0; i < pages; i++) {
    const uintptr_t page = address + i * kPageBytes;
    Arena* arena = arena_map_.Find(page);
    if (!arena->has_manual_spans) {
      if (span == nullptr) continue;
      if (!arena->manual_spans.Reserve(ledger_, kPagesPerArena)) return false;
      arena->has_manual_spans = true;
    }
    const size_t index = Arena::PageIndex(page);
    if (span == nullptr) {
      // What was never committed is NULL already, and cannot be written.
      if (arena->manual_spans.at(index) != nullptr) {
        arena->manual_spans.at(index) = nullptr;
      }
      continue;
    }
    Span** entry = arena->manual_spans.EnsureCommitted(index);
    if (entry == nullptr) return false;
    *entry = span;
  }
  return true;
}

uintptr_t PageHeap::AllocateManual(size_t pages, size_t alignment,
                                   ManualUse use) {
  NewPages taken;
  {
    MutexLock lock(&mutex_);
    Span* span = span_pool_.Take();
    if (span == nullptr) return 0;
    taken = AllocatePages(pages, alignment, /*may_grow=*/true,
                          SoftLimit::kMayExceed);
    if (taken.address == 0) {
      span_pool_.Give(span);
      return 0;
    }
    if (!SetManual(taken.address, pages, span)) {
      SetManual(taken.address, pages, nullptr);
      pages_.Free(taken.address, pages);
      span_pages_ -= pages;
      DecideAboutCaches();
      span_pool_.Give(span);
      return 0;
    }
    span->base = taken.address;
    span->page_count = static_cast<uint32_t>(pages);
    span->size_class = static_cast<uint8_t>(use);
    span->state.store(SpanState::kManual, std::memory_order_release);
    manual_pages_[static_cast<size_t>(use)] += pages;
    manual_spans_++;
  }
  if (taken.need_zero) {
    memset(reinterpret_cast<void*>(taken.address), 0, pages * kPageBytes);
  }
  return taken.address;
}

bool PageHeap::FreeManual(uintptr_t address, ManualUse use) {
  MutexLock lock(&mutex_);
  const Arena* arena = arena_map_.Find(address);
  if (arena == nullptr || !arena->has_manual_spans) return false;
  Span* span = arena->manual_spans.at(Arena::PageIndex(address));
  if (span == nullptr || span->base != address ||
      span->size_class != static_cast<uint8_t>(use)) {
    return false;
  }
  const size_t pages = span->page_count;
  SetManual(address, pages, nullptr);
  pages_.Free(address, pages);
  span_pages_ -= pages;
  manual_pages_[static_cast<size_t>(use)] -= pages;
  manual_spans_--;
  span->state.store(SpanState::kFree, std::memory_order_release);
  span_pool_.Give(span);
  ReleaseExcessPages();
  DecideAboutCaches();
  return true;
}

bool PageHeap::IsManual(uintptr_t address) {
  MutexLock lock(&mutex_);
  const Arena* arena = arena_map_.Find(address);
  return arena != nullptr && arena->has_manual_spans &&
         arena->manual_spans.at(Arena::PageIndex(address)) != nullptr;
}

uint64_t PageHeap::AllManualPages() const {
  uint64_t pages = 0;
  for (uint64_t of_use : manual_pages_) pages += of_use;
  return pages;
}

bool PageHeap::CheckManual(char* problem, size_t problem_bytes) {
  uint64_t pages = 0;
  uint64_t spans = 0;
  for (size_t a = 0; a < pages_.arena_count(); a++) {
    const Arena* arena = pages_.arena(a);
    if (!arena->has_manual_spans) continue;
    for (size_t i = 0; i < kPagesPerArena; i++) {
      const Span* span = arena->manual_spans.at(i);
      if (span == nullptr) continue;
      const uintptr_t page = arena->base + i * kPageBytes;
      if (span->state.load(std::memory_order_relaxed) != SpanState::kManual ||
          page - span->base >= span->bytes() ||
          arena_map_.FindSpan(page) != nullptr) {
        snprintf(problem, problem_bytes,
                 "manual span %p: page %#zx is not its own",
                 static_cast<const void*>(span), static_cast<size_t>(page));
        return false;
      }
      pages++;
      if (span->base == page) spans++;
    }
  }
  if (pages == AllManualPages() && spans == manual_spans_) return true;
  snprintf(problem, problem_bytes,
           "manual spans: %zu of %zu pages found, %zu of %zu counted",
           static_cast<size_t>(spans), static_cast<size_t>(pages),
           static_cast<size_t>(manual_spans_),
           static_cast<size_t>(AllManualPages()));
  return false;
}

}  // namespace loam
