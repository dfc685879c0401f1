#include "runtime/sweep/sweeper.h"

#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

void Finalize(loam_mutator*, void*, void*) {}

bool HoldsByte(const Span* span, size_t index, unsigned char byte) {
  const auto* at =
      reinterpret_cast<const unsigned char*>(span->CellAddress(index));
  for (size_t i = 0; i < span->cell_bytes; i++) {
    if (at[i] != byte) return false;
  }
  return true;
}

class SweeperTest : public testing::Test {
 protected:
  // A span of 64-byte cells, `used` of them taken, back on its list.
  Span* SpanWith(size_t used) {
    Span* span = heap_.Acquire(shape_);
    EXPECT_NE(span, nullptr);
    for (size_t i = 0; i < used; i++) {
      EXPECT_EQ(HeapFixture::TakeCell(span), i) << "not a fresh span";
    }
    return span;
  }
  void Release(Span* span) { heap_.source()->Release(span); }
  // Marks these cells in a cycle.
  void CycleMarking(Span* span, const std::vector<size_t>& cells) {
    heap_.Cycle([&] {
      for (const size_t cell : cells) HeapFixture::Mark(span, cell);
      return cells.size() * span->cell_bytes;
    });
  }

  HeapFixture heap_;
  CentralSpanList central_;
  SpanShape shape_ = HeapFixture::Shape(64, &central_);
};

TEST_F(SweeperTest, MarkBitsBecomeAllocBits) {
  Span* span = SpanWith(100);
  Release(span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  CycleMarking(span, {0, 7, 63, 64, 99});
  EXPECT_EQ(heap_.StateOf(span), SweepState::kNeedsSweeping);
  const uint64_t* marks = span->mark_bits;
  size_t freed = 0;
  EXPECT_TRUE(heap_.sweeper()->SweepSome(1, &freed));
  EXPECT_EQ(freed, 0);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  EXPECT_EQ(span->alloc_bits(), marks);
  EXPECT_NE(span->mark_bits, marks);
  EXPECT_EQ(CountSet(span->mark_bits, 0, span->cell_count), 0);
  EXPECT_EQ(span->free_index(), 0);
  EXPECT_EQ(span->allocated_cells, 5);
  EXPECT_TRUE(span->need_zero);
  for (size_t i = 0; i < span->cell_count; i++) {
    EXPECT_EQ(span->IsAllocated(i),
              i == 0 || i == 7 || i == 63 || i == 64 || i == 99)
        << i;
  }
  EXPECT_FALSE(heap_.sweeper()->SweepSome(1, &freed)) << "once per cycle";
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 1);
}

TEST_F(SweeperTest, EmptySpansGoBackToThePageHeap) {
  Span* span = SpanWith(10);
  const uintptr_t base = span->base;
  Release(span);
  heap_.CycleThatMarksNothing();
  size_t freed = 0;
  EXPECT_TRUE(heap_.sweeper()->SweepSome(1, &freed));
  EXPECT_EQ(freed, 1);
  EXPECT_EQ(heap_.pages()->FindSpan(base), nullptr);
  EXPECT_EQ(heap_.pages()->stats().spans, 0);
  EXPECT_EQ(heap_.pages()->stats().span_bytes, 0);
  EXPECT_FALSE(central_.HasUnswept(heap_.sweeper()->generation() + 2));
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

TEST_F(SweeperTest, PartlyLiveSpansAreReusedAtExactlyTheFreeCells) {
  Span* span = SpanWith(128);
  Release(span);
  CycleMarking(span, {1, 2, 3, 64, 126});
  // On the way to an allocation it is swept.
  Span* again = heap_.Acquire(shape_);
  ASSERT_EQ(again, span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kCached);
  std::vector<size_t> taken;
  for (;;) {
    const size_t cell = HeapFixture::TakeCell(span);
    if (cell == span->cell_count) break;
    taken.push_back(cell);
  }
  std::vector<size_t> expected;
  for (size_t i = 0; i < span->cell_count; i++) {
    if (i != 1 && i != 2 && i != 3 && i != 64 && i != 126) {
      expected.push_back(i);
    }
  }
  EXPECT_EQ(taken, expected);
  Release(span);
  Span* fresh = heap_.Acquire(shape_);
  EXPECT_NE(fresh, span) << "it is full";
  EXPECT_EQ(fresh->free_index(), 0);
}

TEST_F(SweeperTest, FullSpansStayOutOfTheWay) {
  Span* span = SpanWith(128);
  Release(span);
  heap_.Cycle([&] {
    SetBitRange(span->mark_bits, 0, span->cell_count);
    return span->cell_count * span->cell_bytes;
  });
  EXPECT_FALSE(span->need_zero);
  Span* other = heap_.Acquire(shape_);
  EXPECT_NE(other, span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  EXPECT_EQ(span->allocated_cells, span->cell_count);
  EXPECT_FALSE(span->need_zero) << "fresh memory, and nothing of it freed";
}

TEST_F(SweeperTest, CellsNeverHandedOutAreFreeToo) {
  Span* span = SpanWith(3);
  Release(span);
  CycleMarking(span, {0, 2});
  ASSERT_EQ(heap_.Acquire(shape_), span);
  EXPECT_EQ(HeapFixture::TakeCell(span), 1);
  EXPECT_EQ(HeapFixture::TakeCell(span), 3);
}

TEST_F(SweeperTest, StaleCachedSpansAreSweptByRelease) {
  Span* span = SpanWith(20);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kCached);
  CycleMarking(span, {5});
  EXPECT_EQ(heap_.StateOf(span), SweepState::kCachedStale);
  size_t freed = 0;
  EXPECT_FALSE(heap_.sweeper()->SweepSome(1, &freed)) << "it is on no list";
  Release(span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  EXPECT_EQ(span->allocated_cells, 1);
  ASSERT_EQ(heap_.Acquire(shape_), span);
  EXPECT_EQ(HeapFixture::TakeCell(span), 0);
}

TEST_F(SweeperTest, StaleCachedSpansThatAreEmptyAreFreed) {
  Span* span = SpanWith(20);
  const uintptr_t base = span->base;
  heap_.CycleThatMarksNothing();
  Release(span);
  EXPECT_EQ(heap_.pages()->FindSpan(base), nullptr);
}

TEST_F(SweeperTest, EnsureSwept) {
  Span* span = SpanWith(20);
  heap_.sweeper()->EnsureSwept(span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kCached) << "left alone";
  Release(span);
  heap_.sweeper()->EnsureSwept(span);
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 0);
  CycleMarking(span, {3});
  heap_.sweeper()->EnsureSwept(span);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 1);
  EXPECT_FALSE(central_.HasUnswept(heap_.sweeper()->generation()));
  // It went to its list: an allocation finds it.
  EXPECT_EQ(heap_.Acquire(shape_), span);
}

TEST_F(SweeperTest, SweepAllTakesEveryList) {
  CentralSpanList others[3];
  std::vector<Span*> spans;
  for (CentralSpanList& central : others) {
    const SpanShape shape = HeapFixture::Shape(128, &central);
    for (int i = 0; i < 5; i++) {
      Span* span = heap_.Acquire(shape);
      ASSERT_NE(span, nullptr);
      HeapFixture::TakeAllCells(span);
      spans.push_back(span);
    }
  }
  for (Span* span : spans) Release(span);
  heap_.Cycle([&] {
    for (Span* span : spans) HeapFixture::Mark(span, 9);
    return spans.size() * 128;
  });
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(heap_.sweeper()->swept_pages(), spans.size());
  for (const Span* span : spans) {
    EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
  }
  heap_.CycleThatMarksNothing();
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(heap_.pages()->stats().spans, 0);
}

TEST_F(SweeperTest, DeadObjectsWithFinalizersLiveForOneMoreCycle) {
  Span* span = SpanWith(20);
  const uintptr_t base = span->base;
  ASSERT_EQ(heap_.specials()->SetFinalizer(span, span->CellAddress(4),
                                           {Finalize, nullptr}),
            Status::kOk);
  Release(span);
  heap_.CycleThatMarksNothing();
  heap_.sweeper()->SweepAll();
  ASSERT_EQ(heap_.pages()->FindSpan(base), span);
  EXPECT_EQ(span->allocated_cells, 1);
  EXPECT_TRUE(span->IsAllocated(4));
  Special* special = heap_.specials()->finalizer_queue()->Pop();
  ASSERT_NE(special, nullptr);
  EXPECT_EQ(special->object(), reinterpret_cast<void*>(span->CellAddress(4)));
  heap_.specials()->FreeRecord(special);
  heap_.CycleThatMarksNothing();
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(heap_.pages()->FindSpan(base), nullptr);
}

TEST_F(SweeperTest, LargeObjects) {
  const SpanShape shape = HeapFixture::LargeShape(100, &central_);
  Span* dead = heap_.source()->AcquireLarge(shape, MayGrow::kYes);
  Span* live = heap_.source()->AcquireLarge(shape, MayGrow::kYes);
  ASSERT_NE(dead, nullptr);
  ASSERT_NE(live, nullptr);
  EXPECT_TRUE(live->IsAllocated(0));
  const uintptr_t base = dead->base;
  CycleMarking(live, {0});
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(heap_.pages()->FindSpan(base), nullptr);
  EXPECT_EQ(heap_.pages()->FindSpan(live->base), live);
  EXPECT_TRUE(live->IsAllocated(0));
  // The dead one's pages come back, dirty.
  Span* again = heap_.source()->AcquireLarge(shape, MayGrow::kYes);
  EXPECT_EQ(again->base, base);
  EXPECT_TRUE(again->need_zero);
}

using SweeperDeathTest = SweeperTest;

TEST_F(SweeperDeathTest, MarkedCellThatWasNeverAllocatedIsFatal) {
  Span* span = SpanWith(20);
  Release(span);
  for (const size_t zombie : {20, 21, 63, 64, 127}) {
    EXPECT_DEATH(
        {
          CycleMarking(span, {3, zombie});
          heap_.sweeper()->SweepAll();
        },
        "marked free cell: cell " + std::to_string(zombie) +
            " (.|\n)*cell before it(.|\n)*"
            "a reference to a free cell was found while marking");
  }
}

TEST_F(SweeperDeathTest, MarkedCellThatWasFreedIsFatal) {
  Span* span = SpanWith(128);
  Release(span);
  CycleMarking(span, {10, 100});
  heap_.sweeper()->SweepAll();
  CycleMarking(span, {10, 100});  // Alive twice: fine.
  heap_.sweeper()->SweepAll();
  EXPECT_DEATH(
      {
        CycleMarking(span, {10, 50});
        heap_.sweeper()->SweepAll();
      },
      "marked free cell: cell 50 ");
}

TEST_F(SweeperDeathTest, CellsBelowTheFreeIndexAreNoZombies) {
  Span* span = SpanWith(128);
  Release(span);
  CycleMarking(span, {10, 100});
  ASSERT_EQ(heap_.Acquire(shape_), span);
  for (int i = 0; i < 60; i++) HeapFixture::TakeCell(span);
  const size_t end = span->free_index();
  Release(span);
  EXPECT_DEATH(
      {
        CycleMarking(span, {end});
        heap_.sweeper()->SweepAll();
      },
      "marked free cell: cell " + std::to_string(end) + " ");
  CycleMarking(span, {0, end - 1, 100});
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(span->allocated_cells, 3);
}

TEST(SweeperPoisonTest, FillsDeadCellsAndNoOthers) {
  HeapFixture heap(/*poison=*/true);
  CentralSpanList central;
  Span* span = heap.Acquire(HeapFixture::Shape(64, &central));
  ASSERT_NE(span, nullptr);
  for (int i = 0; i < 100; i++) HeapFixture::TakeCell(span);
  memset(reinterpret_cast<void*>(span->base), 0x11, size_t{100} * 64);
  heap.source()->Release(span);
  heap.Cycle([&] {
    HeapFixture::Mark(span, 0);
    HeapFixture::Mark(span, 40);
    return 2 * 64;
  });
  heap.sweeper()->SweepAll();
  for (size_t i = 0; i < 100; i++) {
    EXPECT_TRUE(HoldsByte(span, i, i == 0 || i == 40 ? 0x11 : 0xdb)) << i;
  }
  for (size_t i = 100; i < span->cell_count; i++) {
    EXPECT_TRUE(HoldsByte(span, i, 0)) << "was never used";
  }
  EXPECT_TRUE(span->need_zero) << "poison is no content for a new object";
}

TEST(SweeperPoisonTest, WithoutItDeadCellsKeepTheirContent) {
  HeapFixture heap;
  CentralSpanList central;
  Span* span = heap.Acquire(HeapFixture::Shape(64, &central));
  ASSERT_NE(span, nullptr);
  for (int i = 0; i < 10; i++) HeapFixture::TakeCell(span);
  memset(reinterpret_cast<void*>(span->base), 0x11, 640);
  heap.source()->Release(span);
  heap.Cycle([&] {
    HeapFixture::Mark(span, 0);
    return 64;
  });
  heap.sweeper()->SweepAll();
  EXPECT_TRUE(HoldsByte(span, 5, 0x11));
}

}  // namespace
}  // namespace loam
