#include "runtime/heap/page_allocator.h"

#include <algorithm>
#include <cstdio>

namespace loam {

bool PageAllocator::Initialize(MemoryLedger* ledger) {
  return arenas_.Reserve(ledger, kMaxArenas) && summaries_.Initialize(ledger);
}

void PageAllocator::Release() {
  summaries_.Release();
  arenas_.Release();
}

bool PageAllocator::AddArena(Arena* arena) {
  if (!summaries_.AddArena(arena->base) ||
      arenas_.EnsureCommitted(arena_count_) == nullptr) {
    return false;
  }
  for (PageChunk& chunk : arena->chunks) {
    SetBitRange(chunk.allocated, 0, kPagesPerChunk);
  }
  size_t at = arena_count_++;
  for (; at > 0 && arenas_.at(at - 1)->base > arena->base; at--) {
    arenas_.at(at) = arenas_.at(at - 1);
  }
  arenas_.at(at) = arena;
  return true;
}

void PageAllocator::Grow(uintptr_t address, size_t pages) {
  ForEachChunk(
      address, pages,
      [](PageChunk& chunk, PageSummary* summary, size_t first, size_t end) {
        ClearBitRange(chunk.allocated, first, end);
        SetBitRange(chunk.scavenged, first, end);
        *summary = chunk.SummaryAfterFree(*summary, first, end);
      });
  summaries_.Update(address, address + pages * kPageBytes);
  free_pages_ += pages;
  search_address_ = std::min(search_address_, address);
}

uintptr_t PageAllocator::Find(size_t pages) {
  // Nothing can be lower than in the chunk of the search address.
  if (const Arena* arena = arena_map_->Find(search_address_)) {
    const size_t chunk = Arena::ChunkIndex(search_address_);
    if (summaries_.leaf(search_address_).longest() >= pages) {
      return AlignDown(search_address_, kChunkBytes) +
             arena->chunks[chunk].FindRun(pages) * kPageBytes;
    }
  }
  const PageSummaryTree::Place place = summaries_.Find(pages, search_address_);
  search_address_ = place.lowest_free;
  if (!place.is_in_chunk) return place.address;
  const Arena* arena = arena_map_->Find(place.address);
  const PageChunk& chunk = arena->chunks[Arena::ChunkIndex(place.address)];
  return place.address + chunk.FindRun(pages) * kPageBytes;
}

size_t PageAllocator::CountScavenged(uintptr_t address, size_t pages) const {
  size_t count = 0;
  ForEachChunk(
      address, pages,
      [&](const PageChunk& chunk, const PageSummary*, size_t first,
          size_t end) { count += CountSet(chunk.scavenged, first, end); });
  return count;
}

void PageAllocator::Allocate(uintptr_t address, size_t pages) {
  ForEachChunk(
      address, pages,
      [this](PageChunk& chunk, PageSummary* summary, size_t first, size_t end) {
        const size_t scavenged = CountSet(chunk.scavenged, first, end);
        free_committed_pages_ -= (end - first) - scavenged;
        ClearBitRange(chunk.scavenged, first, end);
        SetBitRange(chunk.allocated, first, end);
        *summary = chunk.SummaryAfterAllocation(*summary, first, end);
      });
  const uintptr_t end = address + pages * kPageBytes;
  summaries_.Update(address, end);
  free_pages_ -= pages;
  if (address == search_address_) search_address_ = end;
}

void PageAllocator::Free(uintptr_t address, size_t pages) {
  ForEachChunk(
      address, pages,
      [](PageChunk& chunk, PageSummary* summary, size_t first, size_t end) {
        ClearBitRange(chunk.allocated, first, end);
        *summary = chunk.SummaryAfterFree(*summary, first, end);
      });
  summaries_.Update(address, address + pages * kPageBytes);
  free_pages_ += pages;
  free_committed_pages_ += pages;
  search_address_ = std::min(search_address_, address);
}

PageBlock PageAllocator::TakeBlock(size_t pages, size_t least) {
  const uintptr_t run = Find(pages);
  if (run == 0) return {};
  PageBlock block;
  block.base = AlignDown(run, PageBlock::kBytes);
  if (run + pages * kPageBytes > block.base + PageBlock::kBytes) return {};
  Arena* arena = arena_map_->Find(block.base);
  PageChunk& chunk = arena->chunks[Arena::ChunkIndex(block.base)];
  const size_t word =
      Arena::PageIndex(block.base) % kPagesPerChunk / kBitsPerWord;
  block.free = ~chunk.allocated[word];
  if (PopCount(block.free) < least) return {};
  block.scavenged = chunk.scavenged[word] & block.free;
  chunk.allocated[word] = ~uint64_t{0};
  chunk.scavenged[word] = 0;
  summaries_.leaf(block.base) = chunk.Summarize();
  const uintptr_t end = block.base + PageBlock::kBytes;
  summaries_.Update(block.base, end);
  free_pages_ -= PopCount(block.free);
  free_committed_pages_ -= PopCount(block.free & ~block.scavenged);
  // If the lowest free page was in the block, none is left in it.
  if (search_address_ >= block.base && search_address_ < end) {
    search_address_ = end;
  }
  return block;
}

void PageAllocator::ReturnBlock(const PageBlock& block) {
  if (block.free == 0) return;
  Arena* arena = arena_map_->Find(block.base);
  PageChunk& chunk = arena->chunks[Arena::ChunkIndex(block.base)];
  const size_t word =
      Arena::PageIndex(block.base) % kPagesPerChunk / kBitsPerWord;
  chunk.allocated[word] &= ~block.free;
  chunk.scavenged[word] |= block.scavenged;
  summaries_.leaf(block.base) = chunk.Summarize();
  summaries_.Update(block.base, block.base + PageBlock::kBytes);
  free_pages_ += PopCount(block.free);
  free_committed_pages_ += PopCount(block.free & ~block.scavenged);
  search_address_ = std::min(
      search_address_, block.base + std::countr_zero(block.free) * kPageBytes);
}

size_t PageAllocator::ArenasBelow(uintptr_t address) const {
  size_t low = 0;
  size_t high = arena_count_;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (arenas_.at(middle)->base < address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

PageAllocator::PageRun PageAllocator::TakeScavengable(uintptr_t end,
                                                      size_t max_pages) {
  for (size_t a = ArenasBelow(end); a-- > 0;) {
    Arena* arena = arenas_.at(a);
    const size_t pages_below =
        std::min<size_t>(kPagesPerArena, (end - arena->base) / kPageBytes);
    for (size_t c = DivideRoundingUp(pages_below, kPagesPerChunk); c-- > 0;) {
      PageChunk& chunk = arena->chunks[c];
      PageSummary& summary = summaries_.leaf(arena->base + c * kChunkBytes);
      if (summary.is_full() ||
          CountSet(chunk.allocated, 0, kPagesPerChunk) >= kDensePages) {
        continue;
      }
      const size_t limit =
          std::min(kPagesPerChunk, pages_below - c * kPagesPerChunk);
      const auto [first, last] = chunk.FindScavengable(limit, max_pages);
      if (first == last) continue;
      const PageRun run = {arena->base + c * kChunkBytes + first * kPageBytes,
                           last - first};
      SetBitRange(chunk.allocated, first, last);
      summary = chunk.SummaryAfterAllocation(summary, first, last);
      summaries_.Update(run.address, run.address + run.pages * kPageBytes);
      free_pages_ -= run.pages;
      free_committed_pages_ -= run.pages;
      return run;
    }
  }
  return {0, 0};
}

bool PageAllocator::CheckInvariants(char* problem, size_t problem_bytes) const {
  return CheckChunks(problem, problem_bytes) &&
         CheckSummaries(problem, problem_bytes);
}

bool PageAllocator::CheckChunks(char* problem, size_t problem_bytes) const {
  size_t free = 0;
  size_t committed = 0;
  for (size_t i = 0; i < arena_count_ * kChunksPerArena; i++) {
    const Arena& arena = *arenas_.at(i / kChunksPerArena);
    const PageChunk& chunk = arena.chunks[i % kChunksPerArena];
    const uintptr_t base = arena.base + i % kChunksPerArena * kChunkBytes;
    const size_t clear =
        kPagesPerChunk - CountSet(chunk.allocated, 0, kPagesPerChunk);
    free += clear;
    committed += clear - CountSet(chunk.scavenged, 0, kPagesPerChunk);
    if (summaries_.leaf(base) != chunk.Summarize()) {
      snprintf(problem, problem_bytes, "chunk %zu: stale summary", i);
      return false;
    }
    if (base + FindFirstClear(chunk.allocated, 0, kPagesPerChunk) * kPageBytes <
            search_address_ &&
        clear != 0) {
      snprintf(problem, problem_bytes,
               "chunk %zu has free pages below the search address %#zx", i,
               static_cast<size_t>(search_address_));
      return false;
    }
    for (size_t w = 0; w < kPagesPerChunk / kBitsPerWord; w++) {
      if ((chunk.allocated[w] & chunk.scavenged[w]) != 0) {
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

// Of all that lies above an arena.
bool PageAllocator::CheckSummaries(char* problem, size_t problem_bytes) const {
  for (size_t a = 0; a < arena_count_; a++) {
    const uintptr_t base = arenas_.at(a)->base;
    for (size_t level = 0; level < PageSummaryTree::kLeafLevel; level++) {
      const size_t shift = PageSummaryTree::Shift(level);
      for (size_t i = base >> shift; i <= (base + kArenaBytes - 1) >> shift;
           i++) {
        if (summaries_.entry(level, i) != summaries_.MergeChildren(level, i)) {
          snprintf(problem, problem_bytes,
                   "summary %zu of level %zu does not follow from those below",
                   i, level);
          return false;
        }
      }
    }
  }
  return true;
}

}  // namespace loam
