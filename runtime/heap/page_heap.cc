#include "runtime/heap/page_heap.h"

#include <algorithm>

#include "runtime/base/fatal.h"
#include "runtime/base/race_hooks.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

// A full fixed heap gives free pages back for a span of at most so many: most
// spans of small cells. For a larger one it collects first.
constexpr size_t kFewPages = 16;

}  // namespace

PageHeap::PageHeap(MemoryLedger* ledger, PersistentAllocator* persistent,
                   const PageHeapOptions& options)
    : ledger_(ledger),
      persistent_(persistent),
      options_(options),
      gc_bits_(ledger),
      arena_map_(persistent),
      pages_(&arena_map_),
      span_pool_(persistent) {}

bool PageHeap::Initialize() {
  MutexLock lock(&mutex_);
  if (!pages_.Initialize(ledger_) || !arenas_.Reserve(ledger_)) return false;
  address_space_.Initialize({.first_hint = options_.arena_hint,
                             .linear_bytes = options_.linear_reservation_bytes,
                             .randomize = options_.randomize_base});
  return true;
}

PageHeap::~PageHeap() {
  MutexLock lock(&mutex_);
  for (size_t a = 0; a < pages_.arena_count(); a++) {
    Arena* arena = pages_.arena(a);
    os::Release(arena->base, kArenaBytes);
    if (arena->has_manual_spans) arena->manual_spans.Release();
    if (arena->store_shadow != nullptr) {
      os::Release(reinterpret_cast<uintptr_t>(arena->store_shadow),
                  kArenaBytes);
    }
    if (arena->verify_bits != nullptr) {
      os::Release(reinterpret_cast<uintptr_t>(arena->verify_bits),
                  kArenaBytes / 64);
    }
  }
  ledger_->Refund(MemoryLedger::Use::kHeapPages,
                  (span_pages_ + pages_.free_committed_pages()) * kPageBytes);
  address_space_.Release();
  arenas_.Release();
  pages_.Release();
}

Span* PageHeap::AllocateSpan(const SpanShape& shape, uint32_t generation,
                             bool may_grow, HeapCache* cache,
                             SoftLimit soft_limit) {
  const size_t span_bytes = shape.pages * kPageBytes;
  const size_t usable = shape.scan == ScanKind::kBitmap
                            ? span_bytes - 2 * (span_bytes / 64)
                            : span_bytes;
  const size_t cells = usable / shape.cell_bytes;
  const size_t bits_bytes = GcBits::BytesFor(cells);
  NewPages pages;
  Span* span = nullptr;
  if (cache != nullptr) {
    span = TakeCached(cache, shape.pages, bits_bytes, &pages);
    if (span == nullptr) BuyBits(cache);
  }
  if (span == nullptr) {
    const bool has_bits = cache != nullptr && cache->bits_bytes >= bits_bytes;
    if (has_bits) {
      cache->bits_bytes -= bits_bytes;
    } else if (!gc_bits_.Reserve(bits_bytes)) {
      return nullptr;
    }
    span = TakeLocked(cache, shape.pages, may_grow, soft_limit, &pages);
    if (span == nullptr) {
      if (has_bits) {
        cache->bits_bytes += bits_bytes;
      } else {
        gc_bits_.Cancel(bits_bytes);
      }
      return nullptr;
    }
  }
  AtRacePoint(RacePoint::kRecordTaken);
  SetUpSpan(span, pages, shape, cells, generation);
  return span;
}

Span* PageHeap::TakeLocked(HeapCache* cache, size_t page_count, bool may_grow,
                           SoftLimit soft_limit, NewPages* pages) {
  MutexLock lock(&mutex_);
  Span* span = span_pool_.Take();
  if (span == nullptr) return nullptr;
  if (cache != nullptr && FillCache(cache, page_count)) {
    const PageCache::Run run = cache->pages.Take(page_count);
    *pages = Handed(run.address, page_count, run.scavenged_pages);
    return span;
  }
  *pages = AllocatePages(page_count, kPageBytes, may_grow, soft_limit);
  if (pages->address != 0) return span;
  span_pool_.Give(span);
  return nullptr;
}

// Nobody else can see the span until its pages point to it.
void PageHeap::SetUpSpan(Span* span, const NewPages& pages,
                         const SpanShape& shape, size_t cells,
                         uint32_t generation) {
  span->base = pages.address;
  span->need_zero = pages.need_zero;
  span->set_mark_bits(gc_bits_.New(cells));
  span->set_alloc_bits(NoBits());
  span->cell_bytes = shape.cell_bytes;
  span->type = shape.type;
  span->pointer_mask = shape.type != nullptr ? shape.type->pointer_mask : 0;
  span->value_mask = shape.type != nullptr ? shape.type->value_mask : 0;
  span->divide_magic = cells == 1 && shape.cell_bytes > kMaxSmallBytes
                           ? 0
                           : DivideMagic(shape.cell_bytes);
  span->set_cell_count(cells);
  span->set_free_index(0);
  span->scan = shape.scan;
  span->kind = shape.kind;
  span->needs_rescan.store(false, std::memory_order_relaxed);
  span->list_id = SpanListId::kNone;
  span->size_class = shape.size_class;
  span->page_count = shape.pages;
  span->allocated_cells = 0;
  span->uncounted_dead_cells = 0;
  span->next = nullptr;
  span->previous = nullptr;
  span->central = shape.central;
  span->specials = nullptr;
  span->special_index = nullptr;
  span->sweepgen.store(generation, std::memory_order_release);
  span->state.store(SpanState::kInUse, std::memory_order_release);
  for (size_t i = 0; i < shape.pages; i++) {
    const uintptr_t page = span->base + i * kPageBytes;
    Arena* arena = arena_map_.Find(page);
    arena->spans[Arena::PageIndex(page)].store(span, std::memory_order_release);
  }
  const size_t page = Arena::PageIndex(span->base);
  arena_map_.Find(span->base)
      ->page_in_use[page / kBitsPerWord]
      .fetch_or(uint64_t{1} << (page % kBitsPerWord),
                std::memory_order_relaxed);
}

void PageHeap::FreeSpans(Span* const* spans, size_t count) {
  size_t bits_bytes = 0;
  for (size_t i = 0; i < count; i++) {
    const Span* span = spans[i];
    LOAM_CHECK(
        span->state.load(std::memory_order_relaxed) == SpanState::kInUse &&
            span->list_id == SpanListId::kNone && span->specials == nullptr,
        "freeing span %p that is free, listed or has specials",
        static_cast<const void*>(span));
    bits_bytes += GcBits::BytesFor(span->cell_count);
  }
  gc_bits_.Unreserve(bits_bytes);
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < count; i++) FreePagesOf(spans[i]);
  ReleaseExcessPages();
}

void PageHeap::FreePagesOf(Span* span) {
  span->state.store(SpanState::kFree, std::memory_order_release);
  for (size_t i = 0; i < span->page_count; i++) {
    const uintptr_t page = span->base + i * kPageBytes;
    Arena* arena = arena_map_.Find(page);
    arena->spans[Arena::PageIndex(page)].store(nullptr,
                                               std::memory_order_release);
  }
  const size_t first = Arena::PageIndex(span->base);
  arena_map_.Find(span->base)
      ->page_in_use[first / kBitsPerWord]
      .fetch_and(~BitMask(first), std::memory_order_relaxed);
  pages_.Free(span->base, span->page_count);
  span_pages_ -= span->page_count;
  DecideAboutCaches();
  freed_spans_++;
  span_pool_.Give(span);
}

PageHeap::NewPages PageHeap::AllocatePages(size_t pages, size_t alignment,
                                           bool may_grow,
                                           SoftLimit soft_limit) {
  if (max_heap_bytes_.load(std::memory_order_relaxed) != UINT64_MAX) {
    FlushAllPages();
  }
  if (BytesWith(pages) > max_heap_bytes_.load(std::memory_order_relaxed)) {
    return {};
  }
  size_t scavenged = 0;
  uintptr_t base = TakeRun(pages, alignment, soft_limit, &scavenged);
  if (base == 0 && may_grow) {
    // Any run of so many pages has an aligned one inside.
    const bool grows = FindRun(pages, alignment) == 0 &&
                       Grow(pages + alignment / kPageBytes - 1);
    base = TakeRun(pages, alignment, soft_limit, &scavenged);
    // What caches hold is as free as other pages when there are no others.
    if (base == 0 && FlushAllPages()) {
      base = TakeRun(pages, alignment, soft_limit, &scavenged);
    }
    if (grows && base != 0) ReleaseForGrowth(pages);
  }
  if (base == 0) return {};
  span_pages_ += pages;
  DecideAboutCaches();
  return Handed(base, pages, scavenged);
}

uintptr_t PageHeap::TakeRun(size_t pages, size_t alignment,
                            SoftLimit soft_limit, size_t* scavenged_pages) {
  const uint64_t max_bytes = max_heap_bytes_.load(std::memory_order_relaxed);
  const uint64_t used_bytes = BytesWith(pages);
  if (used_bytes > max_bytes) return 0;
  const uintptr_t base = FindRun(pages, alignment);
  if (base == 0) return 0;
  size_t scavenged = pages_.CountScavenged(base, pages);
  // Free pages in the wrong place count too.
  const uint64_t room = (max_bytes - used_bytes) / kPageBytes;
  while (scavenged > 0) {
    const uint64_t others =
        pages_.free_committed_pages() + scavenging_pages_ - (pages - scavenged);
    if (others <= room) break;
    if (pages > kFewPages || ReleasePages(others - room) == 0) return 0;
    // Some of them may have been among those found.
    scavenged = pages_.CountScavenged(base, pages);
  }
  if (scavenged > 0) {
    if (!MakeRoom(base, pages) && soft_limit == SoftLimit::kKeep) return 0;
    scavenged = pages_.CountScavenged(base, pages);
    const size_t bytes = scavenged * kPageBytes;
    if (!ledger_->TryCharge(MemoryLedger::Use::kHeapPages, bytes)) return 0;
    if (!os::Commit(base, pages * kPageBytes)) {
      ledger_->Refund(MemoryLedger::Use::kHeapPages, bytes);
      return 0;
    }
  }
  pages_.Allocate(base, pages);
  *scavenged_pages = scavenged;
  return base;
}

// What a scavenged page holds is zero, however often it was used before.
PageHeap::NewPages PageHeap::Handed(uintptr_t address, size_t pages,
                                    size_t scavenged) {
  const bool needs_zero = NeedsZero(address, pages);
  return {address, needs_zero && scavenged < pages};
}

// Whether these pages, just allocated, have been handed out before. Must be
// asked at every allocation, since it moves zeroed_base on.
bool PageHeap::NeedsZero(uintptr_t address, size_t pages) {
  bool needs_zero = false;
  const uintptr_t end = address + pages * kPageBytes;
  while (address < end) {
    Arena* arena = arena_map_.Find(address);
    const uintptr_t part_end = std::min(end, arena->base + kArenaBytes);
    uintptr_t zeroed = arena->zeroed_base.load(std::memory_order_relaxed);
    if (address < zeroed) needs_zero = true;
    while (part_end > zeroed &&
           !arena->zeroed_base.compare_exchange_weak(
               zeroed, part_end, std::memory_order_relaxed)) {
    }
    address = part_end;
  }
  return needs_zero;
}

PageChunk PageHeap::CopyChunk(const Arena& arena, size_t chunk,
                              size_t* grown_pages) {
  MutexLock lock(&mutex_);
  const uintptr_t base = arena.base + chunk * kChunkBytes;
  *grown_pages = kPagesPerChunk;
  if (grow_next_ < base + kChunkBytes && base < grow_limit_) {
    *grown_pages = (std::max(grow_next_, base) - base) / kPageBytes;
  }
  return arena.chunks[chunk];
}

}  // namespace loam
