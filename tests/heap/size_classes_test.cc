// States the rules that the size classes follow, rather than the classes.

#include "runtime/heap/size_classes.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "runtime/heap/span.h"

namespace loam {
namespace {

TEST(SizeClassesTest, PagesAreEightKiB) {
  EXPECT_EQ(kPageBytes, 8192);
  EXPECT_EQ(kMaxSmallBytes, 32768);
  EXPECT_EQ(kPagesPerArena * kPageBytes, size_t{1} << LOAM_ARENA_SHIFT);
}

TEST(SizeClassesTest, ClassesRiseFrom8To32KiB) {
  EXPECT_EQ(ClassCellBytes(0), 8);
  EXPECT_EQ(ClassCellBytes(kSizeClassCount - 1), kMaxSmallBytes);
  for (size_t c = 1; c < kSizeClassCount; c++) {
    EXPECT_GT(ClassCellBytes(c), ClassCellBytes(c - 1)) << c;
  }
}

TEST(SizeClassesTest, AsManyAsGoHasAtMost) {
  // Go has 67 without class 0; its one class that is no multiple of 16, 24
  // bytes, is not here.
  EXPECT_GE(kSizeClassCount, 60);
  EXPECT_LE(kSizeClassCount, 68);
}

TEST(SizeClassesTest, CellsFrom16BytesOnAreMultiplesOf16) {
  for (size_t c = 1; c < kSizeClassCount; c++) {
    EXPECT_EQ(ClassCellBytes(c) % kCellAlignment, 0) << c;
  }
}

TEST(SizeClassesTest, EverySizeMapsToTheSmallestClassThatFits) {
  for (size_t bytes = 0; bytes <= kMaxSmallBytes; bytes++) {
    const size_t c = SizeClassOf(bytes);
    ASSERT_LT(c, kSizeClassCount) << bytes;
    ASSERT_GE(ClassCellBytes(c), bytes);
    if (c > 0) {
      ASSERT_LT(ClassCellBytes(c - 1), bytes) << bytes;
    }
  }
}

TEST(SizeClassesTest, AtMostAnEighthOfASpanIsWastedAtItsEnd) {
  for (size_t c = 0; c < kSizeClassCount; c++) {
    const size_t span_bytes = ClassSpanPages(c) * kPageBytes;
    ASSERT_GE(span_bytes, ClassCellBytes(c)) << c;
    EXPECT_LE(span_bytes % ClassCellBytes(c) * 8, span_bytes) << c;
  }
}

// Of an object of any size, with its share of the end of the span: 12.5 % in
// Go, but for the small classes whose steps are coarser than that, and which go
// from 16 to 32 bytes here.
TEST(SizeClassesTest, TotalWasteIsBounded) {
  for (size_t bytes = 1; bytes <= kMaxSmallBytes; bytes++) {
    const size_t c = SizeClassOf(bytes);
    const size_t span_bytes = ClassSpanPages(c) * kPageBytes;
    const size_t used = span_bytes / ClassCellBytes(c) * bytes;
    const double waste =
        1 - static_cast<double>(used) / static_cast<double>(span_bytes);
    if (bytes > 1024) {
      ASSERT_LE(waste, 0.23) << bytes;
    } else if (bytes > 128) {
      ASSERT_LE(waste, 0.19) << bytes;
    }
    // Rounding by itself: a multiple of 16 is never off by 16.
    if (bytes > 8 && bytes <= 128) {
      ASSERT_LT(ClassCellBytes(c), bytes + 16);
    }
  }
}

TEST(SizeClassesTest, SpanPagesAreTheFewestThatWasteAnEighth) {
  for (size_t cell = 16; cell <= kMaxSmallBytes; cell += 16) {
    const size_t pages = SpanPagesForCell(cell);
    const auto is_good = [cell](size_t n) {
      return n * kPageBytes >= cell &&
             n * kPageBytes % cell <= n * kPageBytes / 8;
    };
    ASSERT_TRUE(is_good(pages)) << cell;
    for (size_t fewer = 1; fewer < pages; fewer++) {
      ASSERT_FALSE(is_good(fewer)) << cell;
    }
  }
}

TEST(SizeClassesTest, NoSpanHasMoreCellsThanItsBitsAllow) {
  for (size_t c = 0; c < kSizeClassCount; c++) {
    EXPECT_LE(ClassSpanPages(c) * kPageBytes / ClassCellBytes(c), kMaxSpanCells)
        << c;
  }
  EXPECT_EQ(TypedSpanPages(8), 2);
  for (size_t cell = 16; cell <= kMaxSmallBytes; cell += 16) {
    const size_t pages = TypedSpanPages(cell);
    ASSERT_GE(pages, SpanPagesForCell(cell)) << cell;
    ASSERT_LE(pages, std::max<size_t>(SpanPagesForCell(cell), 4)) << cell;
    ASSERT_LE(pages * kPageBytes % cell, pages * kPageBytes / 8) << cell;
    ASSERT_LE(pages * kPageBytes / cell, kMaxSpanCells) << cell;
  }
}

TEST(SizeClassesTest, AlignedClassesAlignEveryCell) {
  for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
    for (size_t bytes = 1; bytes <= kMaxSmallBytes; bytes += 7) {
      const size_t c = AlignedSizeClassOf(bytes, alignment);
      ASSERT_LT(c, kSizeClassCount) << bytes << " at " << alignment;
      ASSERT_GE(ClassCellBytes(c), bytes);
      ASSERT_EQ(ClassCellBytes(c) % alignment, 0);
      for (size_t smaller = SizeClassOf(bytes); smaller < c; smaller++) {
        ASSERT_NE(ClassCellBytes(smaller) % alignment, 0);
      }
    }
  }
}

// CellIndex against division: at both ends of every cell, and in what is left
// behind the last one.
void CheckDivision(size_t cell_bytes, size_t pages) {
  Span span = {};
  span.base = 0xc000000000;
  span.page_count = static_cast<uint32_t>(pages);
  span.cell_bytes = cell_bytes;
  const size_t cells = span.bytes() / cell_bytes;
  span.cell_count = static_cast<uint32_t>(cells);
  span.divide_magic = DivideMagic(cell_bytes);
  for (size_t i = 0; i <= cells; i++) {
    for (const size_t offset :
         {i * cell_bytes - 1, i * cell_bytes, i * cell_bytes + 1}) {
      if (offset >= span.bytes()) continue;  // -1 included
      ASSERT_EQ(span.CellIndex(span.base + offset), offset / cell_bytes)
          << "offset " << offset << " of cells of " << cell_bytes;
    }
  }
  const size_t last = span.bytes() - 1;
  ASSERT_EQ(span.CellIndex(span.base + last), last / cell_bytes) << cell_bytes;
}

TEST(SizeClassesTest, DivisionIsExactForEveryClass) {
  for (size_t c = 0; c < kSizeClassCount; c++) {
    ASSERT_NO_FATAL_FAILURE(
        CheckDivision(ClassCellBytes(c), ClassSpanPages(c)));
  }
}

TEST(SizeClassesTest, DivisionIsExactForEveryTypedCell) {
  ASSERT_NO_FATAL_FAILURE(CheckDivision(8, TypedSpanPages(8)));
  for (size_t cell = 16; cell <= kMaxSmallBytes; cell += 16) {
    ASSERT_NO_FATAL_FAILURE(CheckDivision(cell, TypedSpanPages(cell)));
  }
}

TEST(SizeClassesTest, OneCellSpansNeedNoDivision) {
  Span span = {};
  span.base = 0xc000000000;
  span.page_count = 1 << 20;  // 8 GiB
  span.cell_count = 1;
  span.cell_bytes = span.bytes();
  span.divide_magic = 0;
  EXPECT_EQ(span.CellIndex(span.base), 0);
  EXPECT_EQ(span.CellIndex(span.base + span.bytes() - 1), 0);
}

}  // namespace
}  // namespace loam
