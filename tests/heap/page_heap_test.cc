#include "runtime/heap/page_heap.h"

#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/size_classes.h"
#include "tests/base/test_random.h"
#include "tests/heap/span_of_pages.h"

namespace loam {
namespace {

SpanShape Bytes(size_t cell_bytes) {
  SpanShape shape = {};
  shape.kind = SpanKind::kNoscan;
  shape.scan = ScanKind::kNoscan;
  shape.cell_bytes = cell_bytes;
  shape.pages = static_cast<uint32_t>(SpanPagesForCell(cell_bytes));
  return shape;
}

bool IsZero(uintptr_t address, size_t bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(address);
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
    if (words[i] != 0) return false;
  }
  return true;
}

void Fill(const Span* span, int byte) {
  memset(reinterpret_cast<void*>(span->base), byte, span->bytes());
}

class PageHeapTest : public testing::Test {
 protected:
  PageHeapTest() {
    PageHeapOptions options;
    options.linear_reservation_bytes = 0;
    heap_ = std::make_unique<PageHeap>(&ledger_, &persistent_, options);
    EXPECT_TRUE(heap_->Initialize());
  }

  Span* Allocate(const SpanShape& shape, bool may_grow = true) {
    return heap_->AllocateSpan(shape, kGeneration, may_grow);
  }
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(heap_->CheckInvariants(problem, sizeof(problem))) << problem;
  }
  uint64_t HeapPageBytes() const {
    return ledger_.committed() - ledger_.metadata();
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  std::unique_ptr<PageHeap> heap_;
};

TEST_F(PageHeapTest, FreshSpanIsComplete) {
  Span* span = Allocate(Bytes(48));
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->base % kPageBytes, 0);
  EXPECT_EQ(span->page_count, 1);
  EXPECT_EQ(span->cell_count, kPageBytes / 48);
  EXPECT_EQ(span->free_index(), 0);
  EXPECT_EQ(span->sweepgen.load(), kGeneration);
  EXPECT_EQ(span->state.load(), SpanState::kInUse);
  EXPECT_EQ(span->list_id, SpanListId::kNone);
  EXPECT_EQ(span->specials, nullptr);
  for (size_t i = 0; i < span->cell_count; i++) {
    EXPECT_FALSE(span->IsMarked(i));
    EXPECT_FALSE(span->IsAllocated(i));
  }
  EXPECT_EQ(span->CellIndex(span->CellAddress(100) + 47), 100);
  EXPECT_FALSE(span->need_zero);
  EXPECT_TRUE(IsZero(span->base, span->bytes()));
  EXPECT_LE(heap_->lowest_address(), span->base);
  EXPECT_GE(heap_->highest_address(), span->base + span->bytes());
}

TEST_F(PageHeapTest, SpansAreFoundFromAnyInteriorPage) {
  std::vector<Span*> spans;
  for (const size_t pages : {1, 2, 7, 100, 513}) {
    spans.push_back(Allocate(Pages(pages)));
    ASSERT_NE(spans.back(), nullptr);
  }
  for (Span* span : spans) {
    for (size_t i = 0; i < span->page_count; i++) {
      const uintptr_t page = span->base + i * kPageBytes;
      ASSERT_EQ(heap_->FindSpan(page), span);
      ASSERT_EQ(heap_->FindSpan(page + kPageBytes - 1), span);
    }
  }
  Span* gone = spans[2];
  const uintptr_t base = gone->base;
  heap_->FreeSpan(gone);
  for (size_t i = 0; i < 7; i++) {
    EXPECT_EQ(heap_->FindSpan(base + i * kPageBytes), nullptr);
  }
  EXPECT_EQ(heap_->FindSpan(base - 1), spans[1]);
  EXPECT_EQ(heap_->FindSpan(base + 7 * kPageBytes), spans[3]);
  ASSERT_NO_FATAL_FAILURE(Check());
}

TEST_F(PageHeapTest, BitmapSpansKeepRoomForTheirBitmaps) {
  SpanShape shape = Bytes(64);
  shape.kind = SpanKind::kBitmap;
  shape.scan = ScanKind::kBitmap;
  Span* span = Allocate(shape);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->bitmap_bytes(), kPageBytes / 64);
  EXPECT_LE(span->limit(), reinterpret_cast<uintptr_t>(span->PointerBitmap()));
  EXPECT_EQ(span->cell_count, (kPageBytes - 256) / 64);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(span->ValueBitmap()) + 128,
            span->base + span->bytes());
}

TEST_F(PageHeapTest, OnlyReusedPagesNeedZeroing) {
  Span* first = Allocate(Pages(3));
  Span* second = Allocate(Pages(2));
  ASSERT_NE(second, nullptr);
  EXPECT_FALSE(first->need_zero);
  EXPECT_FALSE(second->need_zero);
  Fill(first, 0xab);
  Fill(second, 0xcd);
  const uintptr_t base = first->base;
  heap_->FreeSpan(first);
  Span* reused = Allocate(Pages(3));
  ASSERT_NE(reused, nullptr);
  ASSERT_EQ(reused->base, base) << "lowest address first";
  EXPECT_TRUE(reused->need_zero);
  Span* fresh = Allocate(Pages(1));
  ASSERT_NE(fresh, nullptr);
  EXPECT_FALSE(fresh->need_zero);
  EXPECT_TRUE(IsZero(fresh->base, fresh->bytes()));
}

TEST_F(PageHeapTest, PartlyReusedRunNeedsZeroing) {
  Span* first = Allocate(Pages(2));
  ASSERT_NE(first, nullptr);
  const uintptr_t base = first->base;
  Fill(first, 0xab);
  heap_->FreeSpan(first);
  Span* longer = Allocate(Pages(5));  // Two used pages, three fresh ones.
  ASSERT_NE(longer, nullptr);
  ASSERT_EQ(longer->base, base);
  EXPECT_TRUE(longer->need_zero);
}

// Whatever is not flagged is zero: the property that allocation rests on.
TEST_F(PageHeapTest, UnflaggedMemoryIsAlwaysZero) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  std::vector<Span*> spans;
  for (int i = 0; i < 3000; i++) {
    if (!spans.empty() && random.Below(100) < 48) {
      std::swap(spans[random.Below(spans.size())], spans.back());
      heap_->FreeSpan(spans.back());
      spans.pop_back();
    } else {
      const size_t pages =
          random.OneIn(30) ? random.Between(1, 700) : random.Between(1, 12);
      Span* span = Allocate(Pages(pages), !random.OneIn(3));
      if (span == nullptr) continue;
      if (!span->need_zero) {
        ASSERT_TRUE(IsZero(span->base, span->bytes()));
      }
      Fill(span, 0x77);
      spans.push_back(span);
    }
    if (random.OneIn(40)) {
      heap_->ReleaseFreePages(random.Between(1, 100) * kPageBytes);
    }
    if (random.OneIn(20)) {
      ASSERT_NO_FATAL_FAILURE(Check());
    }
  }
}

TEST_F(PageHeapTest, WithoutGrowthOnlyPagesThatAreThere) {
  EXPECT_EQ(Allocate(Pages(1), /*may_grow=*/false), nullptr);
  EXPECT_EQ(heap_->stats().reserved_bytes, 0);
  Span* span = Allocate(Pages(50));
  ASSERT_NE(span, nullptr);
  heap_->FreeSpan(span);
  EXPECT_NE(Allocate(Pages(50), /*may_grow=*/false), nullptr);
  EXPECT_EQ(Allocate(Pages(100'000), /*may_grow=*/false), nullptr);
}

TEST_F(PageHeapTest, StatsAddUp) {
  Span* a = Allocate(Pages(10));
  Span* b = Allocate(Bytes(16));
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  PageHeapStats stats = heap_->stats();
  EXPECT_EQ(stats.span_bytes, 11 * kPageBytes);
  EXPECT_EQ(stats.free_page_bytes, 0) << "not committed before it is used";
  EXPECT_EQ(stats.spans, 2);
  EXPECT_EQ(stats.freed_spans, 0);
  EXPECT_EQ(stats.reserved_bytes, kArenaBytes);
  EXPECT_EQ(HeapPageBytes(), 11 * kPageBytes);
  heap_->FreeSpan(a);
  stats = heap_->stats();
  EXPECT_EQ(stats.span_bytes, kPageBytes);
  EXPECT_EQ(stats.free_page_bytes, 10 * kPageBytes);
  EXPECT_EQ(stats.spans, 1);
  EXPECT_EQ(stats.freed_spans, 1);
  EXPECT_EQ(HeapPageBytes(), 11 * kPageBytes) << "free pages stay charged";
  ASSERT_NO_FATAL_FAILURE(Check());
}

// What the counters say is what the kernel says.
TEST_F(PageHeapTest, ScavengedPagesAreNotResident) {
  const auto resident_bytes = [](uintptr_t base, size_t bytes) {
    std::vector<unsigned char> pages(bytes / kOsPageBytes);
    EXPECT_EQ(mincore(reinterpret_cast<void*>(base), bytes, pages.data()), 0);
    size_t resident = 0;
    for (const unsigned char page : pages) resident += page & 1;
    return resident * kOsPageBytes;
  };
  Span* low = Allocate(Pages(100));
  Span* middle = Allocate(Pages(700));
  Span* high = Allocate(Pages(50));
  ASSERT_NE(high, nullptr);
  for (Span* span : {low, middle, high}) Fill(span, 0x33);
  const uintptr_t base = low->base;
  const size_t bytes = 850 * kPageBytes;
  const uintptr_t hole = middle->base;
  ASSERT_EQ(resident_bytes(base, bytes), bytes);
  const uint64_t committed = ledger_.committed();
  const uint64_t released = heap_->stats().released_bytes;
  heap_->FreeSpan(middle);
  uintptr_t below = UINTPTR_MAX;
  size_t scavenged = 0;
  while (const size_t step = heap_->ScavengeBelow(&below)) {
    scavenged += step;
    EXPECT_EQ(resident_bytes(base, bytes), bytes - scavenged);
    EXPECT_EQ(ledger_.committed(), committed - scavenged);
    EXPECT_EQ(heap_->stats().released_bytes, released + scavenged);
    EXPECT_EQ(heap_->heap_page_bytes(), bytes - scavenged);
    ASSERT_NO_FATAL_FAILURE(Check());
  }
  EXPECT_EQ(below, 0);
  EXPECT_EQ(scavenged, 700 * kPageBytes);
  EXPECT_EQ(resident_bytes(hole, 700 * kPageBytes), 0);
  EXPECT_TRUE(IsZero(hole, 700 * kPageBytes));
}

TEST_F(PageHeapTest, GrowsByASixteenthWithinBounds) {
  // 3200 pages in spans: a sixteenth is 200.
  Span* span = Allocate(Pages(3200));
  ASSERT_NE(span, nullptr);
  const auto used = [&] {
    return (heap_->highest_address() - heap_->lowest_address()) / kPageBytes;
  };
  while (Allocate(Pages(1), /*may_grow=*/false) != nullptr) {
  }
  const size_t before = used();
  ASSERT_NE(Allocate(Pages(1)), nullptr);
  EXPECT_GE(used() - before, 128);
  EXPECT_LE(used() - before, 512);
}

TEST_F(PageHeapTest, ReleaseFreePagesLowersCommittedAndMemoryReadsZero) {
  Span* low = Allocate(Pages(20));
  Span* high = Allocate(Pages(30));
  ASSERT_NE(high, nullptr);
  Fill(low, 0x11);
  Fill(high, 0x22);
  const uintptr_t base = high->base;
  heap_->FreeSpan(high);
  const uint64_t committed = ledger_.committed();
  EXPECT_EQ(heap_->ReleaseFreePages(10 * kPageBytes), 10 * kPageBytes);
  EXPECT_EQ(ledger_.committed(), committed - 10 * kPageBytes);
  EXPECT_EQ(heap_->ReleaseFreePages(SIZE_MAX), 20 * kPageBytes);
  EXPECT_EQ(ledger_.committed(), committed - 30 * kPageBytes);
  EXPECT_EQ(heap_->ReleaseFreePages(SIZE_MAX), 0);
  EXPECT_EQ(heap_->stats().free_page_bytes, 0);
  EXPECT_TRUE(IsZero(base, 30 * kPageBytes));
  EXPECT_EQ(*reinterpret_cast<unsigned char*>(low->base), 0x11);
  Span* again = Allocate(Pages(30), /*may_grow=*/false);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->base, base);
  EXPECT_EQ(ledger_.committed(), committed) << "charged when used again";
  ASSERT_NO_FATAL_FAILURE(Check());
}

TEST_F(PageHeapTest, ReleasingPartsOfPagesReleasesNone) {
  Span* span = Allocate(Pages(4));
  ASSERT_NE(span, nullptr);
  heap_->FreeSpan(span);
  EXPECT_EQ(heap_->ReleaseFreePages(kPageBytes - 1), 0);
}

TEST_F(PageHeapTest, FreeingAListedSpanIsFatal) {
  Span* span = Allocate(Pages(1));
  ASSERT_NE(span, nullptr);
  span->list_id = SpanListId::kFull0;
  EXPECT_DEATH(heap_->FreeSpan(span), "that is free, listed or has specials");
  span->list_id = SpanListId::kNone;
  heap_->FreeSpan(span);
  EXPECT_DEATH(heap_->FreeSpan(span), "that is free, listed or has specials");
}

TEST_F(PageHeapTest, SpanRecordsAreNotZeroedOnReuse) {
  Span* span = Allocate(Pages(1));
  ASSERT_NE(span, nullptr);
  heap_->FreeSpan(span);
  EXPECT_EQ(span->sweepgen.load(), kGeneration) << "a stale sweeper may look";
  EXPECT_EQ(span->state.load(), SpanState::kFree);
}

TEST_F(PageHeapTest, EverythingIsRefundedAtTheEnd) {
  for (int i = 0; i < 200; i++) ASSERT_NE(Allocate(Bytes(16)), nullptr);
  heap_->FreeSpan(Allocate(Pages(40)));
  heap_->ReleaseFreePages(7 * kPageBytes);
  heap_.reset();
  EXPECT_EQ(HeapPageBytes(), 0);
}

}  // namespace
}  // namespace loam
