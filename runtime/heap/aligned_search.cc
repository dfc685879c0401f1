// PageSummaryTree's search for aligned runs: a walk through all runs that are
// long enough, from the lowest on, to the first in which an aligned one fits.
//
// A run of pages + alignment - 1 would always do, and be found in a few steps,
// but one may fit in much less. The walk leaves out entries that hold no run
// long enough, so its length is that of the list of candidates.

#include "runtime/heap/page_summary_tree.h"

namespace loam {
namespace {

class AlignedSearch {
 public:
  AlignedSearch(const PageSummaryTree& tree, const ArenaMap& arenas,
                size_t pages, size_t alignment)
      : tree_(tree), arenas_(arenas), pages_(pages), alignment_(alignment) {}

  // Visits entries by rising address; true when a run fits.
  bool Visit(size_t level, size_t index, PageSummary summary) {
    if (summary.is_full()) return false;
    const size_t each = PageSummaryTree::PagesEach(level);
    const uintptr_t base = uintptr_t{index} << PageSummaryTree::Shift(level);
    if (summary.start() == each) return AddFree(base, each);
    if (summary.longest() < pages_) {
      // A run may end in here or begin in here, but none lies inside.
      return AddFree(base, summary.start()) ||
             AddFree(base + (each - summary.end()) * kPageBytes, summary.end());
    }
    if (level == PageSummaryTree::kLeafLevel) return VisitChunk(base);
    const PageSummary* children = tree_.Children(level, index);
    for (size_t i = 0; i < PageSummaryTree::kChildren; i++) {
      if (Visit(level + 1, index * PageSummaryTree::kChildren + i,
                children[i])) {
        return true;
      }
    }
    return false;
  }

  // After Visit returned true.
  uintptr_t found() const { return AlignUp(run_, alignment_); }

 private:
  bool VisitChunk(uintptr_t base) {
    const Arena* arena = arenas_.Find(base);
    const uint64_t* taken = arena->chunks[Arena::ChunkIndex(base)].allocated;
    size_t end = 0;
    for (;;) {
      const size_t first = FindFirstClear(taken, end, kPagesPerChunk);
      if (first == kPagesPerChunk) return false;
      end = FindFirstSet(taken, first, kPagesPerChunk);
      if (AddFree(base + first * kPageBytes, end - first)) return true;
    }
  }

  bool AddFree(uintptr_t address, size_t pages) {
    if (pages == 0) return false;
    if (address != run_end_) run_ = address;
    run_end_ = address + pages * kPageBytes;
    return found() + pages_ * kPageBytes <= run_end_;
  }

  const PageSummaryTree& tree_;
  const ArenaMap& arenas_;
  const size_t pages_;
  const size_t alignment_;
  // The last run seen, as far as it has been seen.
  uintptr_t run_ = 0;
  uintptr_t run_end_ = 0;
};

}  // namespace

uintptr_t PageSummaryTree::FindAligned(const ArenaMap& arenas, size_t pages,
                                       size_t alignment, uintptr_t from) const {
  AlignedSearch search(*this, arenas, pages, alignment);
  for (size_t i = from >> Shift(0); i < root_end_; i++) {
    if (search.Visit(0, i, at(0, i))) return search.found();
  }
  return 0;
}

}  // namespace loam
