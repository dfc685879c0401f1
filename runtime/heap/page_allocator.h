// Finds and frees runs of pages, lowest address first.
//
// Address-ordered first fit is what makes Arena::zeroed_base sound, and keeps
// the heap low so that its end can go back to the OS. Each chunk has a summary;
// Find walks the summaries in address order from the first chunk that may have
// a free page. (A radix tree over the summaries comes with a later version,
// behind the same interface.)
//
// Guarded by the page heap's lock.

#ifndef LOAM_RUNTIME_HEAP_PAGE_ALLOCATOR_H_
#define LOAM_RUNTIME_HEAP_PAGE_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/arena.h"
#include "runtime/heap/metadata_allocator.h"

namespace loam {

class PageAllocator {
 public:
  explicit PageAllocator(const ArenaMap* arenas) : arena_map_(arenas) {}

  // Reserves the list of arenas. False when out of memory.
  bool Initialize(MemoryLedger* ledger);
  void Release() { arenas_.Release(); }

  // Adds an arena, all of its pages unavailable until Grow. False when out of
  // memory.
  bool AddArena(Arena* arena);

  // Makes pages of one or several adjacent arenas available: free and
  // scavenged.
  void Grow(uintptr_t address, size_t pages);

  // The lowest run of `pages` free pages, or 0. Changes nothing.
  uintptr_t Find(size_t pages) const;
  // How many of those pages are scavenged.
  size_t CountScavenged(uintptr_t address, size_t pages) const;
  // Marks a run allocated, and none of it scavenged.
  void Allocate(uintptr_t address, size_t pages);
  void Free(uintptr_t address, size_t pages);

  // Hands every run of free committed pages, up to `max_pages` in all and from
  // the highest addresses down, to decommit(address, pages), and marks them
  // scavenged. Returns the pages.
  template <typename Decommit>
  size_t Scavenge(size_t max_pages, Decommit&& decommit);

  size_t arena_count() const { return arena_count_; }
  Arena* arena(size_t i) const { return arenas_.at(i); }  // by rising address
  size_t free_pages() const { return free_pages_; }
  size_t free_committed_pages() const { return free_committed_pages_; }

  // Recounts everything; false and a description on the first mismatch.
  bool CheckInvariants(char* problem, size_t problem_bytes) const;

 private:
  // Calls visit(chunk, first page, end page) for the parts of a run of pages.
  template <typename Visit>
  void ForEachChunk(uintptr_t address, size_t pages, Visit&& visit) const {
    while (pages > 0) {
      Arena* arena = arena_map_->Find(address);
      const size_t page = Arena::PageIndex(address);
      const size_t first = page % kPagesPerChunk;
      const size_t count =
          pages < kPagesPerChunk - first ? pages : kPagesPerChunk - first;
      visit(arena->chunks[page / kPagesPerChunk], first, first + count);
      address += count * kPageBytes;
      pages -= count;
    }
  }

  const ArenaMap* const arena_map_;
  SparseTable<Arena*> arenas_;  // sorted by base
  size_t arena_count_ = 0;
  // Every chunk below it has no free page: (arena index, chunk index).
  mutable size_t first_free_chunk_ = 0;
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
        decommit(address, end - start);
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
