// The page heap: arenas, their pages, and the span records made of them.
//
// It hands out spans and takes them back; it does not know what is in them, and
// never collects. Everything above gets its spans through sweep/span_source,
// which reclaims first.

#ifndef LOAM_RUNTIME_HEAP_PAGE_HEAP_H_
#define LOAM_RUNTIME_HEAP_PAGE_HEAP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/address_space.h"
#include "runtime/heap/arena.h"
#include "runtime/heap/arena_list.h"
#include "runtime/heap/gc_bits.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_allocator.h"
#include "runtime/heap/page_cache.h"
#include "runtime/heap/span.h"

namespace loam {

struct PageHeapOptions {
  uintptr_t arena_hint = 0;   // 0: the default, 0x00c0'0000'0000
  bool store_shadow = false;  // keep Arena::store_shadow
  bool huge_pages = false;
  // Address space reserved at once for the heap to grow in; 0: none.
  size_t linear_reservation_bytes = kHasUserAddressBits ? 0 : size_t{512} << 20;
  bool randomize_base = false;
  // A heap with so much in spans keeps further records in huge pages.
  uint64_t metadata_huge_pages_from = uint64_t{1} << 30;
};

// At one moment: committed - metadata = span_bytes + free_page_bytes.
struct PageHeapStats {
  MemoryCounts memory;
  uint64_t span_bytes;       // manual spans included
  uint64_t free_page_bytes;  // committed, in no span; in a cache perhaps
  uint64_t released_bytes;   // free pages given back, or not used yet
  uint64_t reserved_bytes;   // address space of arenas and for arenas
  uint64_t mapped_bytes;     // of arenas, readable and writable
  uint64_t spans;            // that hold objects
  uint64_t freed_spans;
  uint64_t manual_bytes[kManualUses];  // by ManualUse

  uint64_t all_manual_bytes() const {
    uint64_t bytes = 0;
    for (uint64_t of_use : manual_bytes) bytes += of_use;
    return bytes;
  }
};

// Whether an allocation may bring what is committed above the ledger's soft
// limit, when giving back free pages does not keep it below.
enum class SoftLimit : bool { kKeep, kMayExceed };

class PageHeap {
 public:
  PageHeap(MemoryLedger* ledger, PersistentAllocator* persistent,
           const PageHeapOptions& options);
  ~PageHeap();
  PageHeap(const PageHeap&) = delete;
  PageHeap& operator=(const PageHeap&) = delete;

  bool Initialize() LOAM_EXCLUDES(mutex_);

  // A span of the shape's pages, with mark bits, ready to be cached: its
  // sweepgen is `generation`. With `may_grow` false only pages that the heap
  // has already are used. NULL when there are none, or out of memory.
  Span* AllocateSpan(const SpanShape& shape, uint32_t generation, bool may_grow)
      LOAM_EXCLUDES(mutex_) {
    return AllocateSpan(shape, generation, may_grow, nullptr);
  }
  // The same; takes small spans from the caller's cache, which it fills, if the
  // heap is large enough to afford caches.
  Span* AllocateSpan(const SpanShape& shape, uint32_t generation, bool may_grow,
                     HeapCache* cache,
                     SoftLimit soft_limit = SoftLimit::kMayExceed)
      LOAM_EXCLUDES(mutex_);

  // Takes back a span that no list, cache or sweeper refers to. Its pages go
  // back to the OS while more is committed than the ledger's limit.
  void FreeSpan(Span* span) LOAM_EXCLUDES(mutex_) { FreeSpans(&span, 1); }
  // The same for several, which costs less.
  void FreeSpans(Span* const* spans, size_t count) LOAM_EXCLUDES(mutex_);

  // ---- Caches (page_heap_caches.cc)

  // Gives back all that a cache holds. Its owner only, or the world is stopped;
  // before the cache goes, at the latest.
  void ReturnCache(HeapCache* cache) LOAM_EXCLUDES(mutex_);
  // Gives back the pages in all caches.
  void FlushCaches() LOAM_EXCLUDES(mutex_);

  // ---- Manual spans (page_heap_manual.cc)

  // Zeroed pages that hold no objects, at a multiple of `alignment` bytes, a
  // power of two up to kArenaBytes; 0 when out of memory. They are the caller's
  // until FreeManual or the heap's end, and nobody else looks at them.
  uintptr_t AllocateManual(size_t pages, size_t alignment, ManualUse use)
      LOAM_EXCLUDES(mutex_);
  // Pages of one AllocateManual. False if they are not.
  bool FreeManual(uintptr_t address, ManualUse use) LOAM_EXCLUDES(mutex_);
  // Whether an address lies in a manual span.
  bool IsManual(uintptr_t address) LOAM_EXCLUDES(mutex_);

  // ---- Size

  // Spans and free pages never take more than this (the fixed-size policy),
  // less what records about objects take. Such a heap has no caches.
  void set_max_heap_bytes(uint64_t bytes) {
    max_heap_bytes_.store(bytes, std::memory_order_relaxed);
  }
  // When the heap grows although it has more committed pages than this, in
  // spans and free, it gives free ones back.
  void set_retained_bytes(uint64_t bytes) {
    retained_bytes_.store(bytes, std::memory_order_relaxed);
  }
  // What is committed above nineteen twentieths of the soft limit.
  uint64_t soft_excess() const {
    const uint64_t limit = ledger_->soft_limit();
    return limit == UINT64_MAX ? 0 : ledger_->soft_excess(limit / 20);
  }
  // Time that allocations have spent on giving pages back for a limit or
  // because the heap grew.
  uint64_t assist_ns() const { return assist_ns_.Get(); }

  // Of records about objects (specials), which whoever has them counts here.
  Counter* record_bytes() { return &record_bytes_; }
  const Counter& record_bytes() const { return record_bytes_; }

  // Gives some free pages below *end back to the OS, the highest first, and
  // lowers *end to where it has come; returns how many bytes, 0 when there are
  // none below. Without the lock while the OS works.
  size_t ScavengeBelow(uintptr_t* end) LOAM_EXCLUDES(mutex_);
  // Committed pages, in spans that hold objects and free. At one moment.
  uint64_t heap_page_bytes() LOAM_EXCLUDES(mutex_);
  // Pages of spans, and in caches.
  uint64_t span_pages() LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    return span_pages_;
  }

  // Gives up to `max_bytes` of free committed pages back to the OS; returns how
  // many bytes, those included that the scavenger was giving back.
  size_t ReleaseFreePages(size_t max_bytes) LOAM_EXCLUDES(mutex_);
  // Gives free pages back until no more is committed than the ledger's limits,
  // or none is left.
  void ReleaseExcess() LOAM_EXCLUDES(mutex_);

  Span* FindSpan(uintptr_t address) const {
    return arena_map_.FindSpan(address);
  }
  const ArenaMap& arena_map() const { return arena_map_; }
  GcBits* gc_bits() { return &gc_bits_; }

  // All objects lie in [lowest, highest). Changes only when the heap grows.
  uintptr_t lowest_address() const {
    return lowest_.load(std::memory_order_relaxed);
  }
  uintptr_t highest_address() const {
    return highest_.load(std::memory_order_relaxed);
  }

  // Calls visit(span) for every span in use. The world is stopped and nobody
  // sweeps, or spans cannot come and go for another reason.
  template <typename Visit>
  void ForEachSpan(Visit&& visit) {
    for (Arena* arena : arena_snapshot()) {
      for (size_t w = 0; w < kPagesPerArena / kBitsPerWord; w++) {
        uint64_t bits = arena->page_in_use[w].load(std::memory_order_relaxed);
        while (bits != 0) {
          const size_t page = w * kBitsPerWord + std::countr_zero(bits);
          bits &= bits - 1;
          visit(arena->spans[page].load(std::memory_order_relaxed));
        }
      }
    }
  }
  // Calls visit(arena) for every arena that is there now. Others may come, for
  // manual spans, even while the world is stopped.
  template <typename Visit>
  void ForEachArena(Visit&& visit) {
    for (Arena* arena : arena_snapshot()) visit(arena);
  }

  // A copy of a chunk's bits, for whoever draws them. Of its pages those from
  // *grown_pages on are outside the heap.
  PageChunk CopyChunk(const Arena& arena, size_t chunk, size_t* grown_pages)
      LOAM_EXCLUDES(mutex_);
  // All arenas of this moment, for walking them while others come. Any thread.
  ArenaSnapshot arena_snapshot() const { return arenas_.Snapshot(); }

  // How many bytes of arenas are backed by memory now: asks the OS, which takes
  // about a microsecond for each 4 MiB reserved. Any thread, without the lock.
  size_t ResidentBytes() const;

  PageHeapStats stats() LOAM_EXCLUDES(mutex_);
  // Recounts pages, at any time; and spans, while none come or go. False and a
  // description on the first mismatch.
  bool CheckPages(char* problem, size_t problem_bytes) LOAM_EXCLUDES(mutex_);
  bool CheckInvariants(char* problem, size_t problem_bytes)
      LOAM_EXCLUDES(mutex_);
  void LockForFork() {
    mutex_.LockForFork();
    gc_bits_.LockForFork();
  }
  void UnlockAfterFork() {
    gc_bits_.UnlockAfterFork();
    mutex_.UnlockAfterFork();
  }

 private:
  void FreePagesOf(Span* span) LOAM_REQUIRES(mutex_);
  size_t ReleasePages(size_t max_pages) LOAM_REQUIRES(mutex_);
  void ReleaseExcessPages() LOAM_REQUIRES(mutex_);
  // Whether to grow by huge pages now.
  bool UsesHugePages() const LOAM_REQUIRES(mutex_);
  // Makes [base, base + bytes), which follows what has been grown into,
  // writable and free.
  bool GrowInto(uintptr_t base, size_t bytes) LOAM_REQUIRES(mutex_);
  bool Grow(size_t pages) LOAM_REQUIRES(mutex_);
  bool GrowBy(size_t bytes) LOAM_REQUIRES(mutex_);
  bool AddArenas(size_t bytes) LOAM_REQUIRES(mutex_);
  bool AddArena(uintptr_t base) LOAM_REQUIRES(mutex_);
  // Pages on their way to a span.
  struct NewPages {
    uintptr_t address = 0;  // 0: there are none
    bool need_zero = false;
  };
  // `alignment` a power of two, in bytes, from a page on.
  NewPages AllocatePages(size_t pages, size_t alignment, bool may_grow,
                         SoftLimit soft_limit) LOAM_REQUIRES(mutex_);
  // That count against max_heap_bytes_, if so many pages are added.
  uint64_t BytesWith(size_t pages) const LOAM_REQUIRES(mutex_) {
    return (span_pages_ + pages) * kPageBytes + record_bytes_.Get();
  }
  // 0: there is none, or it cannot be committed.
  uintptr_t TakeRun(size_t pages, size_t alignment, SoftLimit soft_limit,
                    size_t* scavenged) LOAM_REQUIRES(mutex_);
  // Pages to give back before those of a run are committed, for the soft limit.
  size_t SoftExcessPages(uintptr_t base, size_t pages) const
      LOAM_REQUIRES(mutex_);
  // Gives pages back so that those of a run that has been found can be
  // committed within the soft limit. False if that cannot be.
  bool MakeRoom(uintptr_t base, size_t pages) LOAM_REQUIRES(mutex_);
  // After the heap has grown by so many pages.
  void ReleaseForGrowth(size_t pages) LOAM_REQUIRES(mutex_);
  uint64_t HeapPageBytes() const LOAM_REQUIRES(mutex_) {
    return (span_pages_ - AllManualPages() + scavenging_pages_ +
            pages_.free_committed_pages()) *
           kPageBytes;
  }
  uintptr_t FindRun(size_t pages, size_t alignment) LOAM_REQUIRES(mutex_) {
    return alignment <= kPageBytes ? pages_.Find(pages)
                                   : pages_.FindAligned(pages, alignment);
  }
  NewPages Handed(uintptr_t address, size_t pages, size_t scavenged);
  bool NeedsZero(uintptr_t address, size_t pages);
  void SetUpSpan(Span* span, const NewPages& pages, const SpanShape& shape,
                 size_t cells, uint32_t generation);
  // span_pages_ has changed, or filled_caches_.
  void DecideAboutCaches() LOAM_REQUIRES(mutex_);

  // A record with its cells' bits bought, and its pages; NULL if the cache does
  // not have them all. No lock.
  Span* TakeCached(HeapCache* cache, size_t page_count, size_t bits_bytes,
                   NewPages* pages);
  // The record and its pages, from the cache after filling it, or past it.
  Span* TakeLocked(HeapCache* cache, size_t page_count, bool may_grow,
                   SoftLimit soft_limit, NewPages* pages) LOAM_EXCLUDES(mutex_);
  void BuyBits(HeapCache* cache);
  // Whether the cache has a run of so many pages now.
  bool FillCache(HeapCache* cache, size_t page_count) LOAM_REQUIRES(mutex_);
  bool FillPages(HeapCache* cache, size_t page_count) LOAM_REQUIRES(mutex_);
  void FlushPages(HeapCache* cache) LOAM_REQUIRES(mutex_);
  // Returns whether there were any.
  bool FlushAllPages() LOAM_REQUIRES(mutex_);
  size_t CachedPages() LOAM_REQUIRES(mutex_);
  size_t CachedSpans() LOAM_REQUIRES(mutex_);

  bool SetManual(uintptr_t address, size_t pages, Span* span)
      LOAM_REQUIRES(mutex_);
  bool CheckManual(char* problem, size_t problem_bytes) LOAM_REQUIRES(mutex_);
  uint64_t AllManualPages() const LOAM_REQUIRES(mutex_);

  MemoryLedger* const ledger_;
  PersistentAllocator* const persistent_;
  const PageHeapOptions options_;
  GcBits gc_bits_;
  ArenaMap arena_map_;
  ArenaList arenas_;  // by age; PageAllocator has them by address
  // Written under mutex_, read anywhere; relaxed: an address outside is no
  // reference to any object the reader can know.
  std::atomic<uintptr_t> lowest_{UINTPTR_MAX};
  std::atomic<uintptr_t> highest_{0};

  // Relaxed: settings.
  std::atomic<uint64_t> max_heap_bytes_{UINT64_MAX};
  std::atomic<uint64_t> retained_bytes_{UINT64_MAX};
  Counter assist_ns_;
  Counter record_bytes_;

  Mutex<LockRank::kPageHeap> mutex_;
  PageAllocator pages_ LOAM_GUARDED_BY(mutex_);
  FixedPool<Span> span_pool_ LOAM_GUARDED_BY(mutex_);
  AddressSpace address_space_ LOAM_GUARDED_BY(mutex_);
  // The part of the newest arenas that has not been grown into.
  uintptr_t grow_next_ LOAM_GUARDED_BY(mutex_) = 0;
  uintptr_t grow_limit_ LOAM_GUARDED_BY(mutex_) = 0;
  uint64_t mapped_bytes_ LOAM_GUARDED_BY(mutex_) = 0;  // grown into
  // Pages in spans of any kind, and in caches.
  uint64_t span_pages_ LOAM_GUARDED_BY(mutex_) = 0;
  uint64_t manual_pages_[kManualUses] LOAM_GUARDED_BY(mutex_) = {};
  uint64_t manual_spans_ LOAM_GUARDED_BY(mutex_) = 0;
  // Caches that hold anything, and how many of them may hold pages.
  HeapCache* caches_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t filled_caches_ LOAM_GUARDED_BY(mutex_) = 0;
  // Whether it is worth asking for the lock to fill a cache. Written under
  // mutex_; relaxed: a hint.
  std::atomic<bool> may_fill_caches_{false};
  // On their way back to the OS, outside the lock: free, and committed still.
  uint64_t scavenging_pages_ LOAM_GUARDED_BY(mutex_) = 0;
  ConditionVariable scavenged_;  // scavenging_pages_ has fallen
  uint64_t freed_spans_ LOAM_GUARDED_BY(mutex_) = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_HEAP_H_
