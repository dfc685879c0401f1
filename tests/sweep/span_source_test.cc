#include "runtime/sweep/span_source.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

class SpanSourceTest : public testing::Test {
 protected:
  uint64_t LiveEstimate() const {
    return heap_.counters()->live_estimate.Get();
  }
  void Release(Span* span) { heap_.source()->Release(span); }

  mutable HeapFixture heap_;
  CentralSpanList central_;
  SpanShape shape_ = HeapFixture::Shape(64, &central_);
};

TEST_F(SpanSourceTest, FreshSpanIsCachedAndCounted) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kCached);
  EXPECT_EQ(span->list_id, SpanListId::kNone);
  EXPECT_EQ(span->central, &central_);
  EXPECT_EQ(FreeCells(span), 128);
  EXPECT_EQ(LiveEstimate(), 128 * 64) << "free cells count as handed out";
  Release(span);
  EXPECT_EQ(LiveEstimate(), 0) << "and come back";
  EXPECT_EQ(heap_.AllocatedBytes(), 0);
}

TEST_F(SpanSourceTest, ReleasedSpansKeepWhatWasUsed) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  for (int i = 0; i < 30; i++) HeapFixture::TakeCell(span);
  EXPECT_EQ(FreeCells(span), 98);
  Release(span);
  EXPECT_EQ(LiveEstimate(), 30 * 64);
  EXPECT_EQ(heap_.AllocatedBytes(), 30 * 64);
  ASSERT_EQ(heap_.Acquire(shape_), span) << "partial: taken first";
  EXPECT_EQ(HeapFixture::TakeCell(span), 30);
  EXPECT_EQ(LiveEstimate(), 128 * 64);
}

TEST_F(SpanSourceTest, FullSpansAreNotFoundAgain) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(HeapFixture::TakeAllCells(span), 128);
  Release(span);
  EXPECT_NE(heap_.Acquire(shape_), span);
}

TEST_F(SpanSourceTest, StaleSpansAreAccountedOnce) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  for (int i = 0; i < 30; i++) HeapFixture::TakeCell(span);
  heap_.Cycle([&] {
    HeapFixture::Mark(span, 2);
    return 64;
  });
  Release(span);
  EXPECT_EQ(LiveEstimate(), 64);
  EXPECT_EQ(heap_.AllocatedBytes(), 30 * 64);
}

TEST_F(SpanSourceTest, AccountingReturnsToZero) {
  {
    std::vector<Span*> cached;
    CentralSpanList others[4];
    for (int cycle = 0; cycle < 5; cycle++) {
      for (size_t c = 0; c < 4; c++) {
        Span* span = heap_.Acquire(HeapFixture::Shape(32 << c, &others[c]));
        ASSERT_NE(span, nullptr);
        for (int i = 0; i < 17; i++) HeapFixture::TakeCell(span);
        cached.push_back(span);
      }
      ASSERT_NE(heap_.source()->AcquireLarge(
                    HeapFixture::LargeShape(9, &central_), MayGrow::kYes),
                nullptr);
      heap_.CycleThatMarksNothing();
      for (Span* span : cached) Release(span);
      cached.clear();
    }
    heap_.CycleThatMarksNothing();
    heap_.sweeper()->SweepAll();
  }
  EXPECT_EQ(LiveEstimate(), 0);
  EXPECT_EQ(heap_.AllocatedBytes(),
            size_t{5} * (17 * (32 + 64 + 128 + 256) + 9 * kPageBytes));
  const PageHeapStats stats = heap_.pages()->stats();
  EXPECT_EQ(stats.spans, 0);
  EXPECT_EQ(stats.span_bytes, 0);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
  heap_.pages()->ReleaseFreePages(SIZE_MAX);
  EXPECT_EQ(heap_.ledger()->committed(), heap_.ledger()->metadata());
}

TEST_F(SpanSourceTest, SweepsBeforeItTakesFreshPages) {
  std::vector<Span*> spans;
  for (int i = 0; i < 20; i++) {
    spans.push_back(heap_.Acquire(shape_));
    ASSERT_NE(spans.back(), nullptr);
    HeapFixture::TakeAllCells(spans.back());
  }
  for (Span* span : spans) Release(span);
  // All full but one of the unswept ones.
  heap_.Cycle([&] {
    for (Span* span : spans) SetBitRange(span->mark_bits, 0, 128);
    ClearBit(spans[7]->mark_bits, 99);
    return 20 * 128 * 64;
  });
  Span* span = heap_.Acquire(shape_);
  EXPECT_EQ(span, spans[7]);
  EXPECT_EQ(HeapFixture::TakeCell(span), 99);
  EXPECT_EQ(FreeCells(span), 0);
}

// More full spans than one request sweeps lie on either side of the one with a
// free cell: the heap grows by few spans until it is found.
TEST_F(SpanSourceTest, FindsLaterWhatItSkipped) {
  std::vector<Span*> spans;
  for (int i = 0; i < 300; i++) {
    spans.push_back(heap_.Acquire(shape_));
    ASSERT_NE(spans.back(), nullptr);
  }
  while (Span* span = heap_.source()->Acquire(shape_, MayGrow::kNo)) {
    spans.push_back(span);
  }
  for (Span* span : spans) {
    HeapFixture::TakeAllCells(span);
    Release(span);
  }
  Span* const with_room = spans[spans.size() / 2];
  heap_.Cycle([&] {
    for (Span* span : spans) SetBitRange(span->mark_bits, 0, 128);
    ClearBit(with_room->mark_bits, 5);
    return (spans.size() * 128 - 1) * 64;
  });
  size_t fresh = 0;
  while (heap_.Acquire(shape_) != with_room) {
    ASSERT_LE(++fresh, spans.size() / 100);
  }
  EXPECT_GT(fresh, 0);
}

TEST_F(SpanSourceTest, SweepingInVainIsBounded) {
  constexpr size_t kSpans = 400;
  std::vector<Span*> spans;
  for (size_t i = 0; i < kSpans; i++) {
    spans.push_back(heap_.Acquire(shape_));
    ASSERT_NE(spans.back(), nullptr);
    HeapFixture::TakeAllCells(spans.back());
  }
  // Free pages are there already.
  heap_.pages()->FreeSpan(heap_.pages()->AllocateSpan(
      HeapFixture::LargeShape(10, &central_), 4, true));
  for (Span* span : spans) Release(span);
  heap_.Cycle([&] {
    for (Span* span : spans) SetBitRange(span->mark_bits, 0, 128);
    return kSpans * 128 * 64;
  });
  Span* fresh = heap_.Acquire(shape_);
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(FreeCells(fresh), 128);
  EXPECT_LE(heap_.sweeper()->swept_pages(), 100);
  EXPECT_GE(heap_.sweeper()->swept_pages(), 50);
}

TEST_F(SpanSourceTest, DeadSpansOfOtherClassesGiveTheirPages) {
  CentralSpanList other;
  std::vector<Span*> spans;
  for (int i = 0; i < 64; i++) {  // All pages that the heap has grown into.
    spans.push_back(heap_.Acquire(HeapFixture::Shape(512, &other)));
    ASSERT_NE(spans.back(), nullptr);
    HeapFixture::TakeCell(spans.back());
  }
  for (Span* span : spans) Release(span);
  const uint64_t committed = heap_.ledger()->committed();
  heap_.CycleThatMarksNothing();
  for (int i = 0; i < 60; i++) {
    Span* span = heap_.source()->Acquire(shape_, MayGrow::kNo);
    ASSERT_NE(span, nullptr);
    HeapFixture::TakeAllCells(span);
    Release(span);
  }
  EXPECT_LE(heap_.ledger()->committed(), committed + (64 << 10));
}

TEST_F(SpanSourceTest, WholeRunsComeFromScatteredDeadSpans) {
  CentralSpanList other;
  std::vector<Span*> spans;
  for (int i = 0; i < 64; i++) {
    spans.push_back(heap_.Acquire(HeapFixture::Shape(512, &other)));
    ASSERT_NE(spans.back(), nullptr);
    HeapFixture::TakeCell(spans.back());
  }
  for (Span* span : spans) Release(span);
  heap_.CycleThatMarksNothing();
  // Pages freed one by one must be found adjacent in the end.
  Span* large = heap_.source()->AcquireLarge(
      HeapFixture::LargeShape(64, &central_), MayGrow::kNo);
  ASSERT_NE(large, nullptr);
  EXPECT_TRUE(large->need_zero);
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 64);
}

TEST_F(SpanSourceTest, OutOfMemoryChangesNothing) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  heap_.ledger()->set_limit(heap_.ledger()->committed());
  const uint64_t live = LiveEstimate();
  EXPECT_EQ(heap_.Acquire(HeapFixture::Shape(32768, &central_)), nullptr);
  EXPECT_EQ(heap_.source()->AcquireLarge(
                HeapFixture::LargeShape(1000, &central_), MayGrow::kYes),
            nullptr);
  EXPECT_EQ(LiveEstimate(), live);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
  Release(span);
  EXPECT_EQ(heap_.Acquire(shape_), span);
}

TEST_F(SpanSourceTest, ReleasingASpanThatIsNotCachedIsFatal) {
  Span* span = heap_.Acquire(shape_);
  ASSERT_NE(span, nullptr);
  Release(span);
  EXPECT_DEATH(Release(span), "released span .* has sweepgen");
}

}  // namespace
}  // namespace loam
