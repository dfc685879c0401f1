// The memory of one marker: what waits to be marked.
//
//   stack    words in the order in which they were found
//   regions  references sorted by where they lead, in large heaps
//   fresh    cells of the region at hand
//
// Used by one thread at a time. Nothing is committed between cycles.

#ifndef LOAM_RUNTIME_GC_MARK_WORK_H_
#define LOAM_RUNTIME_GC_MARK_WORK_H_

#include "runtime/gc/fresh_cells.h"
#include "runtime/gc/mark_stack.h"
#include "runtime/gc/region_stacks.h"

namespace loam {

struct MarkWork {
  // `max_bytes` bounds the stack, and the region stacks; a multiple of the OS
  // page.
  MarkWork(MemoryLedger* ledger, size_t max_bytes)
      : stack(ledger, max_bytes), regions(ledger, max_bytes), fresh(ledger) {}

  // For references in [lowest, highest). False if there is no memory for
  // sorting; the stack works all the same.
  bool BeginRegions(uintptr_t lowest, uintptr_t highest) {
    if (!regions.Begin(lowest, highest)) return false;
    if (fresh.Begin(regions.region_bytes())) return true;
    regions.End();
    return false;
  }
  // A cycle's marking is complete.
  void Trim() {
    stack.Trim();
    regions.End();
    fresh.End();
  }

  MarkStack stack;
  RegionStacks regions;
  FreshCells fresh;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_WORK_H_
