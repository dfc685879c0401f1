// Finds and frees runs of pages, lowest address first.
//
// Address-ordered first fit is what makes Arena::zeroed_base sound, and keeps
// the heap low so that its end can go back to the OS. A tree of summaries leads
// to the run, and below the search address nothing is free.
//
// Guarded by the page heap's lock.

#ifndef LOAM_RUNTIME_HEAP_PAGE_ALLOCATOR_H_
#define LOAM_RUNTIME_HEAP_PAGE_ALLOCATOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/arena.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_cache.h"
#include "runtime/heap/page_summary_tree.h"

namespace loam {

class PageAllocator {
 public:
  explicit PageAllocator(const ArenaMap* arenas) : arena_map_(arenas) {}

  // Reserves its tables. False when out of memory.
  bool Initialize(MemoryLedger* ledger);
  void Release();

  // Adds an arena, all of its pages unavailable until Grow. False when out of
  // memory.
  bool AddArena(Arena* arena);

  // Makes pages of one or several adjacent arenas available: free and
  // scavenged.
  void Grow(uintptr_t address, size_t pages);

  // The lowest run of `pages` free pages, or 0. Allocates nothing.
  uintptr_t Find(size_t pages);
  // The same, at a multiple of `alignment` bytes, a power of two of whole
  // pages.
  uintptr_t FindAligned(size_t pages, size_t alignment) const {
    return summaries_.FindAligned(*arena_map_, pages, alignment,
                                  search_address_);
  }
  // How many of those pages are scavenged.
  size_t CountScavenged(uintptr_t address, size_t pages) const;
  // Marks a run allocated, and none of it scavenged.
  void Allocate(uintptr_t address, size_t pages);
  void Free(uintptr_t address, size_t pages);

  // Takes all free pages of the block in which the lowest run of `pages` lies,
  // for a mutator's cache; none if there is no such run, or it lies in two
  // blocks, or fewer than `least` pages of the block are free.
  PageBlock TakeBlock(size_t pages, size_t least);
  // Pages of a block that was taken are free again, as they were.
  void ReturnBlock(const PageBlock& block);

  // Hands every run of free committed pages, up to `max_pages` in all and from
  // the highest addresses down, to decommit(address, pages), and marks them
  // scavenged; ends early if that is false. Returns the pages.
  template <typename Decommit>
  size_t Scavenge(size_t max_pages, Decommit&& decommit);

  struct PageRun {
    uintptr_t address;
    size_t pages;  // 0: there is none
  };
  // For scavenging without the lock: takes the highest free committed pages
  // below `end` out, about `max_pages` of one run; they are not free until
  // ReturnScavenged. Chunks that are nearly full are left alone: their pages
  // will soon be wanted, and are not many.
  PageRun TakeScavengable(uintptr_t end, size_t max_pages);
  void ReturnScavenged(PageRun run) { Grow(run.address, run.pages); }
  // They have not been scavenged after all.
  void ReturnCommitted(PageRun run) { Free(run.address, run.pages); }

  size_t arena_count() const { return arena_count_; }
  Arena* arena(size_t i) const { return arenas_.at(i); }  // by rising address
  size_t free_pages() const { return free_pages_; }
  size_t free_committed_pages() const { return free_committed_pages_; }

  const PageSummaryTree& summaries() const { return summaries_; }

  // Recounts everything; false and a description on the first mismatch.
  bool CheckInvariants(char* problem, size_t problem_bytes) const;

 private:
  // Arenas that begin below an address.
  size_t ArenasBelow(uintptr_t address) const;

  // Pages in use from which on a chunk is dense: 31 of 32.
  static constexpr size_t kDensePages = kPagesPerChunk * 31 / 32;

  // Calls visit(chunk, summary, first page, end page) for the parts of a run of
  // pages.
  template <typename Visit>
  void ForEachChunk(uintptr_t address, size_t pages, Visit&& visit) const {
    while (pages > 0) {
      Arena* arena = arena_map_->Find(address);
      const size_t chunk = Arena::ChunkIndex(address);
      const size_t first = Arena::PageIndex(address) % kPagesPerChunk;
      const size_t count = std::min(pages, kPagesPerChunk - first);
      visit(arena->chunks[chunk], &summaries_.leaf(address), first,
            first + count);
      address += count * kPageBytes;
      pages -= count;
    }
  }

  bool CheckChunks(char* problem, size_t problem_bytes) const;
  bool CheckSummaries(char* problem, size_t problem_bytes) const;

  const ArenaMap* const arena_map_;
  SparseTable<Arena*> arenas_;  // sorted by base
  size_t arena_count_ = 0;
  PageSummaryTree summaries_;
  // No page below it is free. May lie outside the heap.
  uintptr_t search_address_ = uintptr_t{1} << kAddressBits;
  size_t free_pages_ = 0;
  size_t free_committed_pages_ = 0;
};

template <typename Decommit>
size_t PageAllocator::Scavenge(size_t max_pages, Decommit&& decommit) {
  size_t done = 0;
  for (size_t a = arena_count_; a-- > 0;) {
    for (size_t c = kChunksPerArena; c-- > 0;) {
      PageChunk& chunk = arenas_.at(a)->chunks[c];
      uint64_t reclaimable[kPagesPerChunk / kBitsPerWord];
      for (size_t w = 0; w < kPagesPerChunk / kBitsPerWord; w++) {
        reclaimable[w] = ~(chunk.allocated[w] | chunk.scavenged[w]);
      }
      size_t at = 0;
      while (done < max_pages) {
        const size_t start = FindFirstSet(reclaimable, at, kPagesPerChunk);
        if (start == kPagesPerChunk) break;
        size_t end = FindFirstClear(reclaimable, start, kPagesPerChunk);
        if (end - start > max_pages - done) end = start + (max_pages - done);
        const uintptr_t address =
            arenas_.at(a)->base + c * kChunkBytes + start * kPageBytes;
        if (!decommit(address, end - start)) return done;
        SetBitRange(chunk.scavenged, start, end);
        free_committed_pages_ -= end - start;
        done += end - start;
        at = end;
      }
      if (done == max_pages) return done;
    }
  }
  return done;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_ALLOCATOR_H_
