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
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_summary.h"

namespace loam {

constexpr size_t kPagesPerHugePage = os::kHugePageBytes / kPageBytes;

struct PageChunk {
  uint64_t allocated[kPagesPerChunk / kBitsPerWord];
  uint64_t scavenged[kPagesPerChunk / kBitsPerWord];

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

  // Three ways to the summary of `allocated`: from that before pages
  // [first, end) were freed, or were allocated, or anew. The first two look at
  // the run around these pages only, as long as that tells.
  PageSummary SummaryAfterFree(PageSummary before, size_t first,
                               size_t end) const {
    const Run run = RunAround(first, end);
    return {run.start == 0 ? run.length() : before.start(),
            std::max(before.longest(), run.length()),
            run.end == kPagesPerChunk ? run.length() : before.end()};
  }
  PageSummary SummaryAfterAllocation(PageSummary before, size_t first,
                                     size_t end) const {
    const Run run = RunAround(first, end);  // that was cut
    // There may be another one as long.
    if (run.length() == before.longest() &&
        FindRun(before.longest()) == kPagesPerChunk) {
      return Summarize();
    }
    return {run.start == 0 ? first : before.start(), before.longest(),
            run.end == kPagesPerChunk ? kPagesPerChunk - end : before.end()};
  }
  PageSummary Summarize() const {
    const size_t start = FindFirstSet(allocated, 0, kPagesPerChunk);
    size_t longest = start;
    size_t last = start;  // the length of the last run, if that ends the chunk
    for (size_t at = start; at < kPagesPerChunk;) {
      const size_t first = FindFirstClear(allocated, at, kPagesPerChunk);
      at = FindFirstSet(allocated, first, kPagesPerChunk);
      longest = std::max(longest, at - first);
      last = at == kPagesPerChunk ? at - first : 0;
    }
    return {start, longest, last};
  }

  // Pages [first, end).
  struct Pages {
    size_t first;
    size_t end;
  };
  // Of the highest run of free committed pages below `limit`, the upper
  // `max_pages`; more where that would cut a huge page in two that is free
  // altogether. Empty if there are none.
  Pages FindScavengable(size_t limit, size_t max_pages) const {
    uint64_t unavailable[kPagesPerChunk / kBitsPerWord];
    uint64_t available[kPagesPerChunk / kBitsPerWord];
    for (size_t w = 0; w < kPagesPerChunk / kBitsPerWord; w++) {
      unavailable[w] = allocated[w] | scavenged[w];
      available[w] = ~unavailable[w];
    }
    const size_t end = FindLastSetEnd(available, limit);
    const size_t start = FindLastSetEnd(unavailable, end);
    if (end - start <= max_pages) return {start, end};
    const size_t first = end - max_pages;
    const size_t huge_page = AlignDown(first, kPagesPerHugePage);
    const bool is_cut =
        huge_page >= start && huge_page + kPagesPerHugePage <= end;
    return {is_cut ? huge_page : first, end};
  }

 private:
  struct Run {
    size_t start;
    size_t end;
    size_t length() const { return end - start; }
  };
  // Pages [first, end), whatever they are, and the free ones next to them.
  Run RunAround(size_t first, size_t end) const {
    return {FindLastSetEnd(allocated, first),
            FindFirstSet(allocated, end, kPagesPerChunk)};
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_CHUNK_H_
