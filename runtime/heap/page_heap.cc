#include "runtime/heap/page_heap.h"

#include <algorithm>

#include "runtime/base/fatal.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

// Where heaps start looking for address space: addresses that begin with 00c0
// stand out in a debugger and are rarely taken. Each heap that finds its place
// taken steps on by kHintStep.
constexpr uintptr_t kFirstHint = uintptr_t{0x00c0} << 32;
constexpr uintptr_t kHintStep = uintptr_t{1} << 40;
constexpr size_t kHintAttempts = 64;

// The heap grows by a sixteenth, within these bounds. Small steps keep a small
// heap's mapping below the size of a huge page.
constexpr size_t kMinGrowthPages = 64;
constexpr size_t kMaxGrowthPages = kPagesPerChunk;

// A heap of this size grows by whole huge pages, if it is to have them: what
// the last of them wastes is little then.
constexpr size_t kHugePagesFromBytes = size_t{16} << 20;

// A full fixed heap gives free pages back for a span of at most so many: most
// spans of small cells. For a larger one it collects first.
constexpr size_t kFewPages = 16;

// Scavenged at a time: long enough to be worth a call of the OS.
constexpr size_t kScavengePages = 64;

}  // namespace

PageHeap::PageHeap(MemoryLedger* ledger, PersistentAllocator* persistent,
                   const PageHeapOptions& options)
    : ledger_(ledger),
      persistent_(persistent),
      options_(options),
      gc_bits_(ledger),
      arena_map_(persistent),
      pages_(&arena_map_),
      span_pool_(persistent),
      next_hint_(options.arena_hint != 0
                     ? AlignUp(options.arena_hint, kArenaBytes)
                     : kFirstHint) {}

bool PageHeap::Initialize() {
  MutexLock lock(&mutex_);
  return pages_.Initialize(ledger_);
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
  pages_.Release();
}

Span* PageHeap::AllocateSpan(const SpanShape& shape, uint32_t generation,
                             bool may_grow, HeapCache* cache) {
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
    span = TakeLocked(cache, shape.pages, may_grow, &pages);
    if (span == nullptr) {
      if (has_bits) {
        cache->bits_bytes += bits_bytes;
      } else {
        gc_bits_.Cancel(bits_bytes);
      }
      return nullptr;
    }
  }
  SetUpSpan(span, pages, shape, cells, generation);
  return span;
}

Span* PageHeap::TakeLocked(HeapCache* cache, size_t page_count, bool may_grow,
                           NewPages* pages) {
  MutexLock lock(&mutex_);
  Span* span = span_pool_.Take();
  if (span == nullptr) return nullptr;
  if (cache != nullptr && FillCache(cache, page_count)) {
    const PageCache::Run run = cache->pages.Take(page_count);
    *pages = Handed(run.address, page_count, run.scavenged_pages);
    return span;
  }
  *pages = AllocatePages(page_count, kPageBytes, may_grow);
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
  span->mark_bits = gc_bits_.New(cells);
  span->set_alloc_bits(NoBits());
  span->cell_bytes = shape.cell_bytes;
  span->type = shape.type;
  span->pointer_mask = shape.type != nullptr ? shape.type->pointer_mask : 0;
  span->value_mask = shape.type != nullptr ? shape.type->value_mask : 0;
  span->divide_magic = cells == 1 && shape.cell_bytes > kMaxSmallBytes
                           ? 0
                           : DivideMagic(shape.cell_bytes);
  span->cell_count = static_cast<uint32_t>(cells);
  span->set_free_index(0);
  span->scan = shape.scan;
  span->kind = shape.kind;
  span->needs_rescan.store(false, std::memory_order_relaxed);
  span->list_id = SpanListId::kNone;
  span->size_class = shape.size_class;
  span->page_count = shape.pages;
  span->live_cells = 0;
  span->next = nullptr;
  span->previous = nullptr;
  span->central = shape.central;
  span->specials = nullptr;
  span->last_special = nullptr;
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
      .fetch_and(~(uint64_t{1} << (first % kBitsPerWord)),
                 std::memory_order_relaxed);
  pages_.Free(span->base, span->page_count);
  span_pages_ -= span->page_count;
  DecideAboutCaches();
  freed_spans_++;
  span_pool_.Give(span);
}

PageHeap::NewPages PageHeap::AllocatePages(size_t pages, size_t alignment,
                                           bool may_grow) {
  if (max_heap_bytes_.load(std::memory_order_relaxed) != UINT64_MAX) {
    FlushAllPages();
  }
  if (BytesWith(pages) > max_heap_bytes_.load(std::memory_order_relaxed)) {
    return {};
  }
  size_t scavenged = 0;
  uintptr_t base = TakeRun(pages, alignment, &scavenged);
  if (base == 0 && may_grow) {
    // Any run of so many pages has an aligned one inside.
    if (FindRun(pages, alignment) == 0) {
      (void)Grow(pages + alignment / kPageBytes - 1);
    }
    base = TakeRun(pages, alignment, &scavenged);
    // What caches hold is as free as other pages when there are no others.
    if (base == 0 && FlushAllPages()) {
      base = TakeRun(pages, alignment, &scavenged);
    }
  }
  if (base == 0) return {};
  span_pages_ += pages;
  DecideAboutCaches();
  return Handed(base, pages, scavenged);
}

uintptr_t PageHeap::TakeRun(size_t pages, size_t alignment,
                            size_t* scavenged_pages) {
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

bool PageHeap::UsesHugePages() const {
  return options_.huge_pages && span_pages_ * kPageBytes >= kHugePagesFromBytes;
}

bool PageHeap::Grow(size_t pages) {
  const bool huge = UsesHugePages();
  const size_t granule = huge ? kPagesPerHugePage : kMinGrowthPages;
  const size_t step = AlignUp(
      std::clamp<size_t>(span_pages_ / 16, granule, kMaxGrowthPages), granule);
  size_t rounded = DivideRoundingUp(pages, step) * step;
  if (huge) {
    // To the end of a huge page.
    const uintptr_t end = grow_next_ + rounded * kPageBytes;
    rounded += (AlignUp(end, os::kHugePageBytes) - end) / kPageBytes;
  }
  // Near the limit, or at the end of the address space, only what is needed.
  return GrowBy(rounded * kPageBytes) ||
         (rounded > pages && GrowBy(pages * kPageBytes));
}

bool PageHeap::GrowBy(size_t bytes) {
  if (bytes > grow_limit_ - grow_next_ && !AddArenas(bytes)) return false;
  bytes = std::min<size_t>(bytes, grow_limit_ - grow_next_);
  if (!GrowInto(grow_next_, bytes)) return false;
  grow_next_ += bytes;
  return true;
}

bool PageHeap::GrowInto(uintptr_t base, size_t bytes) {
  if (!os::Prepare(base, bytes)) return false;
  if (UsesHugePages()) {
    const uintptr_t first = AlignUp(base, os::kHugePageBytes);
    const uintptr_t end = AlignDown(base + bytes, os::kHugePageBytes);
    if (first < end) os::AllowHugePages(first, end - first);
  }
  pages_.Grow(base, bytes / kPageBytes);
  lowest_.store(std::min(lowest_address(), base), std::memory_order_relaxed);
  highest_.store(std::max(highest_address(), base + bytes),
                 std::memory_order_relaxed);
  return true;
}

// Makes the region [grow_next_, grow_limit_) at least `bytes` long.
bool PageHeap::AddArenas(size_t bytes) {
  const size_t remaining = grow_limit_ - grow_next_;
  size_t wanted = AlignUp(bytes - remaining, kArenaBytes);
  // The records of arenas stay: do not buy them for a request that must fail.
  if (!ledger_->HasRoomFor(bytes + wanted / kArenaBytes * sizeof(Arena))) {
    return false;
  }
  uintptr_t base = 0;
  // Right behind the last arena, so that the run can straddle both.
  if (grow_limit_ != 0) base = os::ReserveExactly(grow_limit_, wanted);
  const bool adjacent = base != 0;
  if (!adjacent) {
    wanted = AlignUp(bytes, kArenaBytes);
    uintptr_t hint = next_hint_;
    for (size_t i = 0; i < kHintAttempts && base == 0; i++) {
      base = os::ReserveExactly(hint, wanted);
      if (base == 0) hint += kHintStep;
    }
    if (base != 0) next_hint_ = hint;
    if (base == 0) base = os::Reserve(0, wanted, kArenaBytes);
    if (base == 0) return false;
  }
  if (!arena_map_.Prepare(base, wanted)) {
    os::Release(base, wanted);
    return false;
  }
  for (uintptr_t at = base; at < base + wanted; at += kArenaBytes) {
    auto* arena = static_cast<Arena*>(
        persistent_->Allocate(sizeof(Arena), alignof(Arena)));
    void* shadow = nullptr;
    if (arena != nullptr && options_.store_shadow) {
      shadow = reinterpret_cast<void*>(os::Allocate(kArenaBytes));
    }
    if (arena == nullptr || (options_.store_shadow && shadow == nullptr)) {
      // What was added stays usable; the rest goes back.
      os::Release(at, base + wanted - at);
      wanted = at - base;
      break;
    }
    arena->base = at;
    arena->zeroed_base = at;
    arena->store_shadow = static_cast<uint64_t*>(shadow);
    if (!pages_.AddArena(arena)) {
      os::Release(at, base + wanted - at);
      wanted = at - base;
      break;
    }
    arena_map_.Insert(arena);
  }
  if (wanted == 0) return false;
  if (adjacent) {
    grow_limit_ += wanted;
  } else {
    // What is left of the old ones; if that fails, it is never used.
    if (remaining > 0) (void)GrowInto(grow_next_, remaining);
    grow_next_ = base;
    grow_limit_ = base + wanted;
  }
  return grow_limit_ - grow_next_ >= bytes;
}

size_t PageHeap::ReleaseFreePages(size_t max_bytes) {
  MutexLock lock(&mutex_);
  FlushAllPages();
  const size_t pages = ReleasePages(max_bytes / kPageBytes);
  // Whoever is short of memory wants what the scavenger has at hand, too.
  const size_t scavenging = scavenging_pages_;
  while (scavenging_pages_ > 0) scavenged_.Wait(&mutex_);
  return (pages + scavenging) * kPageBytes;
}

size_t PageHeap::ScavengeBelow(uintptr_t* end) {
  PageAllocator::PageRun run;
  {
    MutexLock lock(&mutex_);
    run = pages_.TakeScavengable(*end, kScavengePages);
    scavenging_pages_ += run.pages;
  }
  *end = run.address;
  if (run.pages == 0) return 0;
  const size_t bytes = run.pages * kPageBytes;
  const bool is_done = os::Decommit(run.address, bytes);
  MutexLock lock(&mutex_);
  scavenging_pages_ -= run.pages;
  scavenged_.NotifyAll();
  if (!is_done) {
    pages_.ReturnCommitted(run);
    *end = 0;
    return 0;
  }
  pages_.ReturnScavenged(run);
  ledger_->Refund(MemoryLedger::Use::kHeapPages, bytes);
  return bytes;
}

uint64_t PageHeap::heap_page_bytes() {
  MutexLock lock(&mutex_);
  return (span_pages_ - AllManualPages() + scavenging_pages_ +
          pages_.free_committed_pages()) *
         kPageBytes;
}

void PageHeap::ReleaseExcess() {
  MutexLock lock(&mutex_);
  ReleaseExcessPages();
}

void PageHeap::ReleaseExcessPages() {
  const uint64_t excess = ledger_->excess();
  if (excess == 0) return;
  FlushAllPages();
  // Which may have made it less.
  ReleasePages(DivideRoundingUp(ledger_->excess(), kPageBytes));
}

size_t PageHeap::ReleasePages(size_t max_pages) {
  const size_t pages =
      pages_.Scavenge(max_pages, [](uintptr_t address, size_t count) {
        return os::Decommit(address, count * kPageBytes);
      });
  ledger_->Refund(MemoryLedger::Use::kHeapPages, pages * kPageBytes);
  return pages;
}

}  // namespace loam
