#include "runtime/heap/page_summary_tree.h"

#include <algorithm>

#include "runtime/base/fatal.h"

namespace loam {

bool PageSummaryTree::Initialize(MemoryLedger* ledger) {
  static_assert(PagesEach(kLeafLevel) == kPagesPerChunk);
  static_assert(PagesEach(0) == PageSummary::kMostPages);
  // Siblings share a cache line, and with it an OS page.
  static_assert(kChildren * sizeof(PageSummary) == 64);
  static_assert(Entries(0) % kChildren == 0);
  return entries_.Reserve(ledger, FirstEntry(kLevels));
}

bool PageSummaryTree::AddArena(uintptr_t base) {
  for (size_t level = 0; level < kLevels; level++) {
    // Whole groups of siblings, since they are read together.
    const size_t first = AlignDown(base >> Shift(level), kChildren);
    const size_t last = (base + kArenaBytes - 1) >> Shift(level);
    for (size_t i = first; i <= last; i += kChildren) {
      if (entries_.EnsureCommitted(FirstEntry(level) + i) == nullptr) {
        return false;
      }
    }
  }
  root_end_ = std::max<size_t>(root_end_, (base >> Shift(0)) + 1);
  return true;
}

void PageSummaryTree::Update(uintptr_t address, uintptr_t end) {
  for (size_t level = kLeafLevel; level-- > 0;) {
    bool has_changed = false;
    for (size_t i = address >> Shift(level); i <= (end - 1) >> Shift(level);
         i++) {
      const PageSummary summary = MergeChildren(level, i);
      PageSummary& entry = at(level, i);
      has_changed |= entry != summary;
      entry = summary;
    }
    if (!has_changed) return;
  }
}

PageSummaryTree::Place PageSummaryTree::Find(size_t pages,
                                             uintptr_t from) const {
  Place place;
  place.lowest_free = from;
  // Whether everything below the entries at hand is in use.
  bool is_lowest = true;
  const PageSummary* entries = &at(0, 0);
  size_t entries_from = 0;  // the index of the first of them
  size_t first = std::min<size_t>(from >> Shift(0), root_end_);
  size_t end = root_end_;
  for (size_t level = 0; level < kLevels; level++) {
    const size_t each = PagesEach(level);
    uintptr_t run = 0;
    size_t run_pages = 0;  // free ones right before the entry
    size_t i = first;
    size_t lowest = end;  // the first entry with a free page
    for (; i < end; i++) {
      const PageSummary summary = entries[i - entries_from];
      if (level > 0) place.steps++;
      if (summary.is_full()) {
        run_pages = 0;
        continue;
      }
      lowest = std::min(lowest, i);
      // What reaches over from the left is lower than anything inside.
      if (run_pages > 0 && run_pages + summary.start() >= pages) break;
      if (summary.longest() >= pages) {
        run_pages = 0;
        break;
      }
      const uintptr_t base = uintptr_t{i} << Shift(level);
      if (summary.start() == each) {
        if (run_pages == 0) run = base;
        run_pages += each;
      } else {
        run_pages = summary.end();
        run = base + (each - run_pages) * kPageBytes;
      }
    }
    if (is_lowest && lowest < end) {
      place.lowest_free =
          std::max(place.lowest_free, uintptr_t{lowest} << Shift(level));
    }
    if (i == end) {
      LOAM_CHECK(level == 0, "a summary of level %zu promises %zu pages",
                 level - 1, pages);
      if (lowest == end) place.lowest_free = uintptr_t{1} << kAddressBits;
      return place;
    }
    if (run_pages > 0) {
      place.address = run;
      return place;
    }
    is_lowest = is_lowest && lowest == i;
    if (level == kLeafLevel) {
      place.address = uintptr_t{i} << Shift(level);
      place.is_in_chunk = true;
      return place;
    }
    entries = Children(level, i);
    entries_from = i * kChildren;
    first = std::max<size_t>(entries_from, from >> Shift(level + 1));
    end = entries_from + kChildren;
  }
  return place;
}

}  // namespace loam
