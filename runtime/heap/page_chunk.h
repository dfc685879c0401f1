// The page allocator's leaf: 512 pages, two bits each.
//
//   allocated  scavenged   the page is
//       1          0       in a span (or outside the heap, not yet grown into)
//       0          0       free, committed: charged to the ledger
//       0          1       free, not committed: reads as zero when touched
//       1          1       (never)

#ifndef LOAM_RUNTIME_HEAP_PAGE_CHUNK_H_
#define LOAM_RUNTIME_HEAP_PAGE_CHUNK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/heap/heap_constants.h"

namespace loam {

// Free pages at the start, in the longest run, and at the end of a chunk.
struct PageSummary {
  uint16_t start;
  uint16_t longest;
  uint16_t end;
};

struct PageChunk {
  uint64_t allocated[kPagesPerChunk / kBitsPerWord];
  uint64_t scavenged[kPagesPerChunk / kBitsPerWord];
  PageSummary summary;  // of `allocated`; kept up to date by every change

  // First page of the first run of `pages` free pages, or kPagesPerChunk.
  size_t FindRun(size_t pages) const {
    size_t at = 0;
    while (at + pages <= kPagesPerChunk) {
      const size_t start = FindFirstClear(allocated, at, kPagesPerChunk);
      if (start + pages > kPagesPerChunk) break;
      const size_t end = FindFirstSet(allocated, start, start + pages);
      if (end == start + pages) return start;
      at = end;
    }
    return kPagesPerChunk;
  }

  // The three ways to keep the summary: pages [first, end) have just been
  // freed, or allocated, or anything may have changed. The first two look at
  // the run around these pages only, as long as that tells.
  void SummarizeFreed(size_t first, size_t end) {
    const Run run = RunAround(first, end);
    summary.longest = std::max(summary.longest, run.length());
    if (run.start == 0) summary.start = run.length();
    if (run.end == kPagesPerChunk) summary.end = run.length();
  }
  void SummarizeAllocated(size_t first, size_t end) {
    const Run before = RunAround(first, end);
    if (before.start == 0) summary.start = static_cast<uint16_t>(first);
    if (before.end == kPagesPerChunk) {
      summary.end = static_cast<uint16_t>(kPagesPerChunk - end);
    }
    // There may be another run as long as the one that was cut.
    if (before.length() == summary.longest &&
        FindRun(summary.longest) == kPagesPerChunk) {
      Summarize();
    }
  }
  void Summarize() {
    const size_t first = FindFirstSet(allocated, 0, kPagesPerChunk);
    summary.start = static_cast<uint16_t>(first);
    size_t longest = first;
    size_t last_end = first;
    size_t at = first;
    while (at < kPagesPerChunk) {
      const size_t start = FindFirstClear(allocated, at, kPagesPerChunk);
      const size_t end = FindFirstSet(allocated, start, kPagesPerChunk);
      if (end - start > longest) longest = end - start;
      last_end = end == kPagesPerChunk ? end - start : 0;
      at = end;
    }
    summary.longest = static_cast<uint16_t>(longest);
    summary.end = static_cast<uint16_t>(last_end);
  }

 private:
  struct Run {
    size_t start;
    size_t end;
    uint16_t length() const { return static_cast<uint16_t>(end - start); }
  };
  // Pages [first, end), whatever they are, and the free ones next to them.
  Run RunAround(size_t first, size_t end) const {
    return {FindLastSetEnd(allocated, first),
            FindFirstSet(allocated, end, kPagesPerChunk)};
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_CHUNK_H_
