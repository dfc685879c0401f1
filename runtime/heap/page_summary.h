// How many of some pages are free, in one word: at their start, in the longest
// run, and at their end.
//
//   bits 0 to 20    free pages at the start
//   bits 21 to 41   in the longest run
//   bits 42 to 62   at the end
//   bit 63          all of 2^21 pages, which do not fit the fields, are free;
//                   the other bits are zero
//
// Zero says that none is free, and so does memory that was never written.

#ifndef LOAM_RUNTIME_HEAP_PAGE_SUMMARY_H_
#define LOAM_RUNTIME_HEAP_PAGE_SUMMARY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace loam {

class PageSummary {
 public:
  // That a summary can speak of.
  static constexpr size_t kMostPages = size_t{1} << 21;

  constexpr PageSummary() = default;
  constexpr PageSummary(size_t start, size_t longest, size_t end)
      : word_(longest == kMostPages
                  ? kAllFree
                  : start | longest << kFieldBits | end << (2 * kFieldBits)) {}

  constexpr bool is_full() const { return word_ == 0; }
  constexpr size_t start() const { return Field(0); }
  constexpr size_t longest() const { return Field(1); }
  constexpr size_t end() const { return Field(2); }

  friend constexpr bool operator==(PageSummary, PageSummary) = default;

  // Of `count` neighbours, lowest first, which have `pages` pages each.
  static constexpr PageSummary Merge(const PageSummary* parts, size_t count,
                                     size_t pages) {
    size_t start = 0;
    size_t longest = 0;
    size_t end = 0;  // of the parts so far
    for (size_t i = 0; i < count; i++) {
      const PageSummary part = parts[i];
      if (part.is_full()) {
        end = 0;
        continue;
      }
      if (start == i * pages) start += part.start();
      longest = std::max({longest, part.longest(), end + part.start()});
      end = part.end() == pages ? end + pages : part.end();
    }
    return {start, longest, end};
  }

 private:
  static constexpr unsigned kFieldBits = 21;
  static constexpr uint64_t kAllFree = uint64_t{1} << 63;

  constexpr size_t Field(unsigned i) const {
    return word_ == kAllFree ? kMostPages
                             : word_ >> (i * kFieldBits) & (kMostPages - 1);
  }

  uint64_t word_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_PAGE_SUMMARY_H_
