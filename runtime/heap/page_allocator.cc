#include "runtime/heap/page_allocator.h"

#include <cstdio>
#include <cstring>

namespace loam {

bool PageAllocator::Initialize(MemoryLedger* ledger) {
  constexpr size_t kMaxArenas = size_t{1} << (kAddressBits - kArenaShift);
  return arenas_.Reserve(ledger, kMaxArenas);
}

bool PageAllocator::AddArena(Arena* arena) {
  if (arenas_.EnsureCommitted(arena_count_) == nullptr) return false;
  for (PageChunk& chunk : arena->chunks) {
    SetBitRange(chunk.allocated, 0, kPagesPerChunk);
  }
  size_t at = arena_count_++;
  for (; at > 0 && arenas_.at(at - 1)->base > arena->base; at--) {
    arenas_.at(at) = arenas_.at(at - 1);
  }
  arenas_.at(at) = arena;
  // Indices above moved by one.
  if (at * kChunksPerArena < first_free_chunk_) first_free_chunk_ = 0;
  return true;
}

void PageAllocator::Grow(uintptr_t address, size_t pages) {
  ForEachChunk(address, pages, [](PageChunk& chunk, size_t first, size_t end) {
    ClearBitRange(chunk.allocated, first, end);
    SetBitRange(chunk.scavenged, first, end);
    chunk.Summarize();
  });
  free_pages_ += pages;
  first_free_chunk_ = 0;
}

uintptr_t PageAllocator::Find(size_t pages) const {
  uintptr_t run_base = 0;
  size_t run_pages = 0;
  uintptr_t expected = 0;  // where the next chunk must lie to extend the run
  bool below_are_full = true;
  for (size_t i = first_free_chunk_; i < arena_count_ * kChunksPerArena; i++) {
    const Arena* arena = arenas_.at(i / kChunksPerArena);
    const PageChunk& chunk = arena->chunks[i % kChunksPerArena];
    const uintptr_t base = arena->base + (i % kChunksPerArena) * kChunkBytes;
    const PageSummary summary = chunk.summary;
    if (below_are_full) {
      if (summary.longest == 0) {
        first_free_chunk_ = i + 1;
        continue;
      }
      below_are_full = false;
    }
    if (base != expected) run_pages = 0;
    expected = base + kChunkBytes;
    if (run_pages > 0 && run_pages + summary.start >= pages) return run_base;
    if (summary.longest >= pages) {
      return base + chunk.FindRun(pages) * kPageBytes;
    }
    if (summary.start == kPagesPerChunk) {  // Free altogether.
      if (run_pages == 0) run_base = base;
      run_pages += kPagesPerChunk;
    } else {
      run_pages = summary.end;
      run_base = base + (kPagesPerChunk - summary.end) * kPageBytes;
    }
  }
  return 0;
}

size_t PageAllocator::CountScavenged(uintptr_t address, size_t pages) const {
  size_t count = 0;
  ForEachChunk(address, pages, [&](PageChunk& chunk, size_t first, size_t end) {
    count += CountSet(chunk.scavenged, first, end);
  });
  return count;
}

void PageAllocator::Allocate(uintptr_t address, size_t pages) {
  ForEachChunk(address, pages, [&](PageChunk& chunk, size_t first, size_t end) {
    const size_t scavenged = CountSet(chunk.scavenged, first, end);
    free_committed_pages_ -= (end - first) - scavenged;
    ClearBitRange(chunk.scavenged, first, end);
    SetBitRange(chunk.allocated, first, end);
    chunk.SummarizeAllocated(first, end);
  });
  free_pages_ -= pages;
}

void PageAllocator::Free(uintptr_t address, size_t pages) {
  ForEachChunk(address, pages, [](PageChunk& chunk, size_t first, size_t end) {
    ClearBitRange(chunk.allocated, first, end);
    chunk.SummarizeFreed(first, end);
  });
  free_pages_ += pages;
  free_committed_pages_ += pages;
  // The chunk of `address` may lie below the first free one: find its index.
  size_t low = 0;
  size_t high = arena_count_;
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (arenas_.at(middle)->base <= address ? low : high) = middle;
  }
  const size_t chunk =
      low * kChunksPerArena + (address - arenas_.at(low)->base) / kChunkBytes;
  if (chunk < first_free_chunk_) first_free_chunk_ = chunk;
}

bool PageAllocator::CheckInvariants(char* problem, size_t problem_bytes) const {
  size_t free = 0;
  size_t committed = 0;
  for (size_t i = 0; i < arena_count_ * kChunksPerArena; i++) {
    PageChunk copy =
        arenas_.at(i / kChunksPerArena)->chunks[i % kChunksPerArena];
    const PageSummary kept = copy.summary;
    copy.Summarize();
    const size_t clear =
        kPagesPerChunk - CountSet(copy.allocated, 0, kPagesPerChunk);
    const size_t scavenged = CountSet(copy.scavenged, 0, kPagesPerChunk);
    free += clear;
    committed += clear - scavenged;
    if (memcmp(&kept, &copy.summary, sizeof(kept)) != 0) {
      snprintf(problem, problem_bytes, "chunk %zu: stale summary", i);
      return false;
    }
    if (i < first_free_chunk_ && clear != 0) {
      snprintf(problem, problem_bytes,
               "chunk %zu has free pages below the first free chunk %zu", i,
               first_free_chunk_);
      return false;
    }
    for (size_t w = 0; w < kPagesPerChunk / kBitsPerWord; w++) {
      if ((copy.allocated[w] & copy.scavenged[w]) != 0) {
        snprintf(problem, problem_bytes,
                 "chunk %zu: pages both allocated and scavenged", i);
        return false;
      }
    }
  }
  if (free != free_pages_ || committed != free_committed_pages_) {
    snprintf(problem, problem_bytes,
             "page allocator counts %zu free (%zu committed), has %zu (%zu)",
             free_pages_, free_committed_pages_, free, committed);
    return false;
  }
  return true;
}

}  // namespace loam
