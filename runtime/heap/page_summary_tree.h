// Summaries of all address space, in a tree of five levels, to find a run of
// free pages of any heap in few steps.
//
//   level   an entry covers   entries
//     0          16 GiB         2^14    the root
//     1           2 GiB         2^17
//     2         256 MiB         2^20
//     3          32 MiB         2^23
//     4           4 MiB      2^26      a chunk: a leaf
//
// An entry's place follows from its address: the levels are arrays over the
// 48-bit address space, of which only what covers the heap is ever committed.
// The eight children of an entry fill a cache line. (The scheme is that of Go's
// page allocator.)
//
// Guarded by the page heap's lock.

#ifndef LOAM_RUNTIME_HEAP_PAGE_SUMMARY_TREE_H_
#define LOAM_RUNTIME_HEAP_PAGE_SUMMARY_TREE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/arena.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_summary.h"

namespace loam {

class PageSummaryTree {
 public:
  static constexpr size_t kLevels = 5;
  static constexpr size_t kLeafLevel = kLevels - 1;
  static constexpr size_t kChildren = 8;

  // Reserves the arrays. False when out of memory.
  bool Initialize(MemoryLedger* ledger);
  void Release() { entries_.Release(); }

  // Makes room for the summaries of an arena. False when out of memory.
  bool AddArena(uintptr_t base);

  // The leaf of the chunk that an address lies in.
  PageSummary& leaf(uintptr_t address) const {
    return at(kLeafLevel, address >> Shift(kLeafLevel));
  }
  // The leaves of chunks in [address, end) have changed.
  void Update(uintptr_t address, uintptr_t end);

  // Where the lowest run of so many free pages is.
  struct Place {
    // Of the run, or of the chunk that it lies in; 0: there is none.
    uintptr_t address = 0;
    bool is_in_chunk = false;
    // No page below it is free.
    uintptr_t lowest_free = 0;
    // Summaries looked at below the root.
    size_t steps = 0;
  };
  // No page below `from` is free.
  Place Find(size_t pages, uintptr_t from) const;

  // The lowest `pages` free pages that begin at a multiple of `alignment`
  // bytes, a power of two of whole pages; 0: there are none. The same
  // condition.
  uintptr_t FindAligned(const ArenaMap& arenas, size_t pages, size_t alignment,
                        uintptr_t from) const;

  // What an entry covers.
  static constexpr size_t Shift(size_t level) {
    return kLeafShift + 3 * (kLeafLevel - level);
  }
  static constexpr size_t PagesEach(size_t level) {
    return size_t{1} << (Shift(level) - kPageShift);
  }
  PageSummary entry(size_t level, size_t index) const {
    return at(level, index);
  }
  // Not of leaves.
  PageSummary MergeChildren(size_t level, size_t index) const {
    return PageSummary::Merge(Children(level, index), kChildren,
                              PagesEach(level + 1));
  }
  // The kChildren below an entry that is no leaf.
  const PageSummary* Children(size_t level, size_t index) const {
    return &at(level + 1, index * kChildren);
  }

 private:
  static constexpr size_t kLeafShift = 22;

  // Levels lie one behind the other, the root first.
  static constexpr size_t Entries(size_t level) {
    return size_t{1} << (kAddressBits - Shift(level));
  }
  static constexpr size_t FirstEntry(size_t level) {
    size_t first = 0;
    for (size_t above = 0; above < level; above++) first += Entries(above);
    return first;
  }
  PageSummary& at(size_t level, size_t index) const {
    return entries_.at(FirstEntry(level) + index);
  }

  SparseTable<PageSummary> entries_;
  size_t root_end_ = 0;  // root entries from here on cover no arena
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_SUMMARY_TREE_H_
