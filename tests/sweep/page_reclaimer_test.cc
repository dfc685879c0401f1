// The page reclaimer: pages of dead objects come back without sweeping what is
// alive, chunk by chunk, and what was freed in excess is credit.

#include "runtime/sweep/page_reclaimer.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

constexpr size_t kAll = SIZE_MAX;

class PageReclaimerTest : public testing::Test {
 protected:
  // One full span of a page each, on the central list.
  std::vector<Span*> MakeSpans(size_t count) {
    std::vector<Span*> spans;
    for (size_t i = 0; i < count; i++) {
      Span* span = heap_.Acquire(shape_);
      EXPECT_NE(span, nullptr);
      HeapFixture::TakeAllCells(span);
      heap_.source()->Release(span);
      spans.push_back(span);
    }
    return spans;
  }
  size_t Spans() { return heap_.pages()->stats().spans; }
  size_t SweptPages() { return heap_.sweeper()->swept_pages(); }

  HeapFixture heap_;
  CentralSpanList central_;
  SpanShape shape_ = HeapFixture::Shape(64, &central_);
};

TEST_F(PageReclaimerTest, FreesWhatIsDeadAndSweepsNothingElse) {
  const std::vector<Span*> spans = MakeSpans(3000);
  heap_.Cycle([&] {
    size_t live = 0;
    // Every third lives, by its first, its last or some other cell.
    for (size_t i = 0; i < spans.size(); i += 3, live++) {
      HeapFixture::Mark(spans[i], live % 128);
    }
    return live * 64;
  });
  heap_.sweeper()->Reclaim(kAll, kAll);
  EXPECT_EQ(Spans(), 1000);
  EXPECT_EQ(SweptPages(), 2000);
  for (size_t i = 0; i < spans.size(); i += 3) {
    EXPECT_EQ(heap_.StateOf(spans[i]), SweepState::kNeedsSweeping);
  }
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(SweptPages(), 3000);
  EXPECT_EQ(Spans(), 1000);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

TEST_F(PageReclaimerTest, StopsAtTheEndOfTheChunkWhereItHasEnough) {
  MakeSpans(2000);
  heap_.CycleThatMarksNothing();
  EXPECT_TRUE(heap_.sweeper()->Reclaim(10, kAll));
  EXPECT_EQ(Spans(), 2000 - kPagesPerChunk);
}

TEST_F(PageReclaimerTest, WhatWasFreedInExcessIsCredit) {
  MakeSpans(2000);
  heap_.CycleThatMarksNothing();
  EXPECT_TRUE(heap_.sweeper()->Reclaim(10, kAll));
  EXPECT_TRUE(heap_.sweeper()->Reclaim(kPagesPerChunk - 10, kAll));
  EXPECT_EQ(Spans(), 2000 - kPagesPerChunk) << "all of it was credit";
  EXPECT_TRUE(heap_.sweeper()->Reclaim(1, kAll));
  EXPECT_EQ(Spans(), 2000 - 2 * kPagesPerChunk);
  // The next cycle begins without any.
  heap_.CycleThatMarksNothing();
  EXPECT_EQ(Spans(), 0);
}

TEST_F(PageReclaimerTest, LooksAtNoMoreChunksThanItMay) {
  const std::vector<Span*> spans = MakeSpans(8 * kPagesPerChunk);
  heap_.Cycle([&] {
    for (size_t i = 0; i + 1 < spans.size(); i++) {
      HeapFixture::Mark(spans[i], 0);
    }
    return (spans.size() - 1) * 64;
  });
  // Only the last span is dead.
  EXPECT_TRUE(heap_.sweeper()->Reclaim(1, 4));
  EXPECT_EQ(SweptPages(), 0);
  EXPECT_TRUE(heap_.sweeper()->Reclaim(1, 4));
  EXPECT_EQ(SweptPages(), 1);
  EXPECT_EQ(Spans(), spans.size() - 1);
}

TEST_F(PageReclaimerTest, EndsWhenEveryChunkHasBeenClaimed) {
  MakeSpans(100);
  heap_.CycleThatMarksNothing();
  EXPECT_FALSE(heap_.sweeper()->Reclaim(1000, kAll));
  EXPECT_EQ(Spans(), 0);
  EXPECT_FALSE(heap_.sweeper()->Reclaim(1, kAll));
}

TEST_F(PageReclaimerTest, SpansMadeSinceTheCycleAreLeftAlone) {
  MakeSpans(100);
  heap_.CycleThatMarksNothing();
  Span* fresh = heap_.pages()->AllocateSpan(
      shape_, heap_.sweeper()->generation(), /*may_grow=*/true);
  ASSERT_NE(fresh, nullptr);
  heap_.sweeper()->Reclaim(kAll, kAll);
  EXPECT_EQ(Spans(), 1);
  EXPECT_EQ(heap_.pages()->FindSpan(fresh->base), fresh);
  heap_.pages()->FreeSpan(fresh);
}

TEST_F(PageReclaimerTest, LargeSpansAndThoseOfManyCells) {
  CentralSpanList large;
  CentralSpanList small;
  std::vector<Span*> dead;
  std::vector<Span*> live;
  for (int i = 0; i < 20; i++) {
    // The first cells of a span of 1,024 are dead in one that lives.
    Span* span = heap_.Acquire(HeapFixture::Shape(32, &small));
    ASSERT_NE(span, nullptr);
    HeapFixture::TakeAllCells(span);
    heap_.source()->Release(span);
    (i % 2 == 0 ? dead : live).push_back(span);
    span = heap_.source()->AcquireLarge(HeapFixture::LargeShape(700, &large),
                                        MayGrow::kYes);
    ASSERT_NE(span, nullptr);
    (i % 2 == 0 ? dead : live).push_back(span);
  }
  heap_.Cycle([&] {
    uint64_t bytes = 0;
    for (Span* span : live) {
      HeapFixture::Mark(span, span->cell_count - 1);
      bytes += span->cell_bytes;
    }
    return bytes;
  });
  size_t dead_pages = 0;
  for (const Span* span : dead) dead_pages += span->page_count;
  heap_.sweeper()->Reclaim(kAll, kAll);
  EXPECT_EQ(Spans(), live.size());
  EXPECT_EQ(SweptPages(), dead_pages) << "what lives is not swept";
}

// A contiguous run among dead spans of all sizes: the heap does not grow.
TEST_F(PageReclaimerTest, ALargeObjectGoesWhereDeadOnesWere) {
  std::vector<CentralSpanList> centrals(8);
  CentralSpanList large;
  size_t pages = 0;
  for (size_t i = 0; pages < 16 * kPagesPerChunk; i++) {
    Span* span;
    if (i % 5 == 0) {
      span = heap_.source()->AcquireLarge(
          HeapFixture::LargeShape(5 + i % 97, &large), MayGrow::kYes);
    } else {
      span = heap_.Acquire(
          HeapFixture::Shape(size_t{16} << (i % 8), &centrals[i % 8]));
      HeapFixture::TakeAllCells(span);
      heap_.source()->Release(span);
    }
    ASSERT_NE(span, nullptr);
    pages += span->page_count;
  }
  const uint64_t committed = heap_.ledger()->committed();
  heap_.CycleThatMarksNothing();
  Span* span = heap_.source()->AcquireLarge(
      HeapFixture::LargeShape(12 * kPagesPerChunk, &large), MayGrow::kYes);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(heap_.ledger()->committed(), committed);
}

}  // namespace
}  // namespace loam
