#include "runtime/heap/self_check.h"

#include <cstdio>

#include "runtime/base/bits.h"
#include "runtime/heap/arena.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_summary.h"
#include "runtime/heap/page_summary_tree.h"
#include "runtime/heap/size_classes.h"
#include "runtime/heap/span.h"

namespace loam {
namespace {

// ---- Pages, chunks, arenas: each a whole number of the one before.

static_assert(IsPowerOfTwo(kOsPageBytes) && kPageBytes % kOsPageBytes == 0);
static_assert(kPageBytes == size_t{1} << kPageShift);
static_assert(IsPowerOfTwo(kPagesPerChunk) &&
              kPagesPerChunk % kBitsPerWord == 0);
static_assert(kArenaBytes % kChunkBytes == 0 && kArenaShift < kAddressBits);
static_assert(os::kHugePageBytes % kPageBytes == 0 &&
              kChunkBytes % os::kHugePageBytes == 0);
static_assert(sizeof(uintptr_t) == kWordBytes && sizeof(size_t) == kWordBytes,
              "an address is a word");

// ---- The summary tree: from a chunk to what one summary can speak of, eight
// to one, and from there to all addresses.

constexpr size_t kRoot = 0;
constexpr size_t kLeaf = PageSummaryTree::kLeafLevel;
static_assert(PageSummaryTree::PagesEach(kLeaf) == kPagesPerChunk);
static_assert(PageSummaryTree::PagesEach(kRoot) == PageSummary::kMostPages);
static_assert(kAddressBits > PageSummaryTree::Shift(kRoot));
static_assert(PageSummaryTree::PagesEach(kRoot) == kPagesPerChunk
                                                       << (3 * kLeaf));

// Each field keeps the largest value and none spills into another; all free,
// which does not fit, and all taken, which is zero, are told apart.
constexpr size_t kMost = PageSummary::kMostPages;
constexpr bool Holds(size_t start, size_t longest, size_t end) {
  const PageSummary summary(start, longest, end);
  return summary.start() == start && summary.longest() == longest &&
         summary.end() == end && summary.is_full() == (longest == 0);
}
static_assert(Holds(0, 0, 0) && Holds(kMost, kMost, kMost));
static_assert(Holds(kMost - 1, kMost - 1, 0) && Holds(0, kMost - 1, kMost - 1));
static_assert(Holds(0, 1, 0) && Holds(1, kMost / 2, 2));

// ---- Size classes: spans fit a chunk, cells their bits, and the
// multiplication that divides is exact. Of an offset n it is off by n * e /
// (cell * 2^32), where e = magic * cell - 2^32, and that may not reach the next
// whole number: n * e < 2^32.

constexpr bool DividesExactly(size_t cell_bytes, size_t span_pages) {
  const uint64_t error =
      uint64_t{DivideMagic(cell_bytes)} * cell_bytes - (uint64_t{1} << 32);
  return error < cell_bytes && error * (span_pages * kPageBytes) < uint64_t{1}
                                                                       << 32;
}
constexpr bool SpanFits(size_t cell_bytes, size_t span_pages) {
  return span_pages <= kPagesPerChunk &&
         span_pages * kPageBytes >= cell_bytes &&
         span_pages * kPageBytes / cell_bytes <= kMaxSpanCells &&
         DividesExactly(cell_bytes, span_pages);
}
constexpr bool SizeClassesFit() {
  for (size_t c = 0; c < kSizeClassCount; c++) {
    if (!SpanFits(ClassCellBytes(c), ClassSpanPages(c))) return false;
    if (SizeClassOf(ClassCellBytes(c)) != c) return false;
  }
  return true;
}
constexpr bool TypedSpansFit() {
  for (size_t cell = kCellAlignment; cell <= kMaxSmallBytes;
       cell += kCellAlignment) {
    if (!SpanFits(cell, TypedSpanPages(cell))) return false;
  }
  return SpanFits(8, TypedSpanPages(8));
}
static_assert(SizeClassesFit());
static_assert(TypedSpansFit());

// ---- Addresses. The page of one, and its place in the arena.

static_assert(Arena::PageIndex(kArenaBytes) == 0);
static_assert(Arena::PageIndex(kArenaBytes - 1) == kPagesPerArena - 1);
static_assert(Arena::ChunkIndex(kArenaBytes - 1) == kChunksPerArena - 1);
static_assert(ArenaMap::kIndexBits + kArenaShift == kAddressBits);
static_assert(ArenaMap::TableIndex(kArenaBytes) == 1);

}  // namespace

OsFacts AskOs(bool wants_huge_pages) {
  const size_t page_bytes = os::PageBytes();
  const uintptr_t address = os::Reserve(0, page_bytes, page_bytes);
  if (address != 0) os::Release(address, page_bytes);
  return {page_bytes, wants_huge_pages ? os::HugePageBytes() : 0, address};
}

bool SelfCheck(const OsFacts& facts, char* problem, size_t problem_bytes) {
  if (!IsPowerOfTwo(facts.page_bytes) || facts.page_bytes > kPageBytes) {
    snprintf(problem, problem_bytes,
             "the OS's page is %zu bytes: no power of two up to loam's %zu",
             facts.page_bytes, kPageBytes);
    return false;
  }
  if (facts.page_bytes > kOsPageBytes) {
    snprintf(problem, problem_bytes,
             "the OS's page is %zu bytes; this library is compiled for at most "
             "%zu (kOsPageBytes)",
             facts.page_bytes, kOsPageBytes);
    return false;
  }
  if (facts.huge_page_bytes != 0 &&
      facts.huge_page_bytes != os::kHugePageBytes) {
    snprintf(problem, problem_bytes,
             "options.huge_pages: the OS's huge page is %zu bytes; this "
             "library is compiled for %zu (os::kHugePageBytes)",
             facts.huge_page_bytes, os::kHugePageBytes);
    return false;
  }
  // A build with fewer bits takes only addresses that fit: AddressSpace.
  if (kHasUserAddressBits && facts.mapped_address >> kAddressBits != 0) {
    snprintf(problem, problem_bytes,
             "the OS places memory at %#zx; this library is compiled for "
             "addresses of %zu bits (kAddressBits)",
             static_cast<size_t>(facts.mapped_address), kAddressBits);
    return false;
  }
  return true;
}

}  // namespace loam
