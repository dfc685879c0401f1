// PageHeap's side of the caches of mutators: filling them, and getting back
// what they hold.

#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"

namespace loam {
namespace {

// A heap with fewer pages in spans has no caches, and one with more lets all
// caches together hold this part of it: what they hide from other mutators and
// from the scavenger stays small beside the heap.
constexpr size_t kCachesFromPages = (size_t{64} << 20) / kPageBytes;
constexpr size_t kCachedFraction = 32;

// A block with fewer free pages is not worth taking: right after a collection,
// when pages become free one span at a time, most have no more than one run.
constexpr size_t kLeastFree = PageBlock::kPages / 4;

// Records in a cache that has just been filled.
constexpr size_t kSpanBatch = 64;
// Mark bits bought at a time: of 128 spans with up to 64 cells.
constexpr size_t kBitsBatchBytes = 1024;

}  // namespace

void PageHeap::DecideAboutCaches() {
  const bool may_fill =
      span_pages_ >= kCachesFromPages &&
      filled_caches_ * PageBlock::kPages * kCachedFraction <= span_pages_;
  if (may_fill != may_fill_caches_.load(std::memory_order_relaxed)) {
    may_fill_caches_.store(may_fill, std::memory_order_relaxed);
  }
}

Span* PageHeap::TakeCached(HeapCache* cache, size_t page_count,
                           size_t bits_bytes, NewPages* pages) {
  if (page_count >= PageCache::kPagesFromWhichNot ||
      cache->spans.count() == 0 || cache->bits_bytes < bits_bytes) {
    return nullptr;
  }
  const PageCache::Run run = cache->pages.Take(page_count);
  if (run.address == 0) return nullptr;
  cache->bits_bytes -= bits_bytes;
  *pages = Handed(run.address, page_count, run.scavenged_pages);
  return cache->spans.Take();
}

void PageHeap::BuyBits(HeapCache* cache) {
  if (cache->bits_bytes < kBitsBatchBytes / 4 &&
      may_fill_caches_.load(std::memory_order_relaxed) &&
      gc_bits_.Reserve(kBitsBatchBytes)) {
    cache->bits_bytes += kBitsBatchBytes;
  }
}

bool PageHeap::FillCache(HeapCache* cache, size_t page_count) {
  if (page_count >= PageCache::kPagesFromWhichNot ||
      !may_fill_caches_.load(std::memory_order_relaxed)) {
    return false;
  }
  // It may be records or bits that ran out.
  if (!cache->pages.HasRun(page_count) && !FillPages(cache, page_count)) {
    return false;
  }
  if (!cache->is_listed) {
    cache->is_listed = true;
    cache->previous = nullptr;
    cache->next = caches_;
    if (caches_ != nullptr) caches_->previous = cache;
    caches_ = cache;
  }
  while (cache->spans.count() < kSpanBatch) {
    Span* span = span_pool_.Take();
    if (span == nullptr) break;
    cache->spans.Give(span);
  }
  return true;
}

bool PageHeap::FillPages(HeapCache* cache, size_t page_count) {
  const size_t caches = filled_caches_ + (cache->has_block ? 0 : 1);
  if (max_heap_bytes_.load(std::memory_order_relaxed) != UINT64_MAX ||
      caches * PageBlock::kPages * kCachedFraction > span_pages_) {
    return false;
  }
  const PageBlock block = pages_.TakeBlock(page_count, kLeastFree);
  if (block.free == 0) return false;
  const size_t bytes = PopCount(block.scavenged) * kPageBytes;
  if (bytes > 0) {
    if (ledger_->soft_excess(bytes) > 0 ||
        !ledger_->TryCharge(MemoryLedger::Use::kHeapPages, bytes)) {
      pages_.ReturnBlock(block);
      return false;
    }
    for (size_t end = 0;;) {
      const size_t first = FindFirstSet(&block.scavenged, end, kBitsPerWord);
      if (first == kBitsPerWord) break;
      end = FindFirstClear(&block.scavenged, first, kBitsPerWord);
      if (!os::Commit(block.base + first * kPageBytes,
                      (end - first) * kPageBytes)) {
        ledger_->Refund(MemoryLedger::Use::kHeapPages, bytes);
        pages_.ReturnBlock(block);
        return false;
      }
    }
  }
  // What it has left goes back, or pieces too small for spans of this size
  // would keep it from being filled.
  FlushPages(cache);
  cache->pages.Put(block);
  cache->has_block = true;
  filled_caches_ = caches;
  span_pages_ += PopCount(block.free);
  DecideAboutCaches();
  return true;
}

void PageHeap::FlushPages(HeapCache* cache) {
  if (!cache->has_block) return;
  const PageBlock block = cache->pages.TakeAll();
  pages_.ReturnBlock(block);
  // Nothing has been written to these, so they are scavenged as they were.
  ledger_->Refund(MemoryLedger::Use::kHeapPages,
                  PopCount(block.scavenged) * kPageBytes);
  span_pages_ -= PopCount(block.free);
  cache->has_block = false;
  filled_caches_--;
}

bool PageHeap::FlushAllPages() {
  const uint64_t pages_before = span_pages_;
  for (HeapCache* cache = caches_; cache != nullptr; cache = cache->next) {
    FlushPages(cache);
  }
  DecideAboutCaches();
  return span_pages_ != pages_before;
}

void PageHeap::FlushCaches() {
  MutexLock lock(&mutex_);
  FlushAllPages();
}

void PageHeap::ReturnCache(HeapCache* cache) {
  if (cache->bits_bytes > 0) gc_bits_.Cancel(cache->bits_bytes);
  cache->bits_bytes = 0;
  MutexLock lock(&mutex_);
  if (!cache->is_listed) return;
  FlushPages(cache);
  DecideAboutCaches();
  while (Span* span = cache->spans.Take()) span_pool_.Give(span);
  if (cache->next != nullptr) cache->next->previous = cache->previous;
  if (cache->previous != nullptr) {
    cache->previous->next = cache->next;
  } else {
    caches_ = cache->next;
  }
  cache->next = nullptr;
  cache->previous = nullptr;
  cache->is_listed = false;
}

size_t PageHeap::CachedPages() {
  size_t pages = 0;
  for (HeapCache* cache = caches_; cache != nullptr; cache = cache->next) {
    pages += cache->pages.count();
  }
  return pages;
}

size_t PageHeap::CachedSpans() {
  size_t spans = 0;
  for (HeapCache* cache = caches_; cache != nullptr; cache = cache->next) {
    spans += cache->spans.count();
  }
  return spans;
}

}  // namespace loam
