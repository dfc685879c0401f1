// The interleavings that sweeping has to stand: a thread is held between taking
// the right to a span and sweeping it, between freeing a span and using its
// record again, and between claiming a chunk and looking at it, while others do
// what would harm if the arguments of docs/sweeping.md were wrong.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/race_hooks.h"
#include "tests/races/gate.h"
#include "tests/sweep/heap_fixture.h"

namespace loam {
namespace {

#ifdef LOAM_RACE_HOOKS

constexpr size_t kAll = SIZE_MAX;
constexpr size_t kCellBytes = 64;
constexpr size_t kOtherCellBytes = 1024;

// What a thread without the right to a span must not change.
struct Record {
  explicit Record(const Span* span)
      : base(span->base),
        mark_bits(span->mark_bits),
        alloc_bits(span->alloc_bits()),
        cell_bytes(span->cell_bytes),
        cell_count(span->cell_count),
        free_index(span->free_index()),
        sweepgen(span->sweepgen.load()),
        state(span->state.load()),
        list_id(span->list_id),
        allocated_cells(span->allocated_cells),
        central(span->central) {}
  bool operator==(const Record&) const = default;

  uintptr_t base;
  const uint64_t* mark_bits;
  const uint64_t* alloc_bits;
  size_t cell_bytes;
  uint32_t cell_count;
  uint32_t free_index;
  uint32_t sweepgen;
  SpanState state;
  SpanListId list_id;
  uint32_t allocated_cells;
  const CentralSpanList* central;
};

class SweepRaceTest : public testing::Test {
 protected:
  // Full spans of a page, on their list.
  std::vector<Span*> FullSpans(size_t count) {
    std::vector<Span*> spans;
    for (size_t i = 0; i < count; i++) {
      Span* span = heap_.Acquire(shape_);
      EXPECT_NE(span, nullptr);
      HeapFixture::TakeAllCells(span);
      spans.push_back(span);
    }
    for (Span* span : spans) heap_.source()->Release(span);
    return spans;
  }
  static void Mark(const std::vector<Span*>& spans, size_t cell) {
    for (Span* span : spans) HeapFixture::Mark(span, cell);
  }
  void CycleMarking(const std::vector<Span*>& spans, size_t cell) {
    heap_.Cycle([&] {
      Mark(spans, cell);
      return spans.size() * kCellBytes;
    });
  }
  // `count` spans of another shape, all their cells taken and filled, cached.
  std::vector<Span*> OtherSpans(size_t count) {
    std::vector<Span*> spans;
    for (size_t i = 0; i < count; i++) {
      spans.push_back(heap_.Acquire(other_shape_));
      EXPECT_NE(spans.back(), nullptr);
      HeapFixture::TakeAllCells(spans.back());
      Fill(spans.back());
    }
    return spans;
  }
  static void Fill(const Span* span) {
    auto* words = reinterpret_cast<uintptr_t*>(span->base);
    for (size_t i = 0; i < span->bytes() / kWordBytes; i++) {
      words[i] = span->base + i;
    }
  }
  static bool IsFilled(const Span* span) {
    const auto* words = reinterpret_cast<const uintptr_t*>(span->base);
    for (size_t i = 0; i < span->bytes() / kWordBytes; i++) {
      if (words[i] != span->base + i) return false;
    }
    return true;
  }
  static bool Contains(const std::vector<Span*>& spans, const Span* span) {
    return std::find(spans.begin(), spans.end(), span) != spans.end();
  }
  static std::vector<Record> RecordsOf(const std::vector<Span*>& spans) {
    std::vector<Record> records;
    for (const Span* span : spans) records.emplace_back(span);
    return records;
  }
  size_t SpanCount() { return heap_.pages()->stats().spans; }

  HeapFixture heap_;
  CentralSpanList central_;
  CentralSpanList other_central_;
  SpanShape shape_ = HeapFixture::Shape(kCellBytes, &central_);
  SpanShape other_shape_ = HeapFixture::Shape(kOtherCellBytes, &other_central_);
};

// ---- Between taking the right to a span and sweeping it

TEST_F(SweepRaceTest, EnsureSweptWaitsForWhoeverSweepsTheSpan) {
  Span* span = FullSpans(1)[0];
  CycleMarking({span}, 3);
  Gate gate(RacePoint::kSweepTokenTaken);
  std::thread sweeper([&] {
    size_t freed;
    heap_.sweeper()->SweepSome(1, &freed);
  });
  gate.WaitUntilReached();
  std::atomic<bool> is_swept{false};
  std::thread other([&] {
    heap_.sweeper()->EnsureSwept(span);
    is_swept.store(true);
    EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
    EXPECT_EQ(span->allocated_cells, 1);
    EXPECT_TRUE(span->IsAllocated(3));
    EXPECT_FALSE(span->IsAllocated(4));
  });
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  EXPECT_FALSE(is_swept.load());
  EXPECT_EQ(heap_.StateOf(span), SweepState::kBeingSwept);
  gate.Open();
  sweeper.join();
  other.join();
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 1);
  EXPECT_EQ(heap_.Acquire(shape_), span) << "it is on its list, once";
  EXPECT_NE(heap_.Acquire(shape_), span);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// The sweeper came by address, so that the span is on its list still: a mutator
// takes it off and must forget it.
TEST_F(SweepRaceTest, WhoTakesASpanBeingSweptOffItsListForgetsIt) {
  Span* span = FullSpans(1)[0];
  CycleMarking({span}, 3);
  Gate gate(RacePoint::kSweepTokenTaken);
  std::thread sweeper([&] { heap_.sweeper()->EnsureSwept(span); });
  gate.WaitUntilReached();
  EXPECT_NE(span->list_id, SpanListId::kNone);
  Span* mine = heap_.Acquire(shape_);
  ASSERT_NE(mine, nullptr);
  EXPECT_NE(mine, span);
  EXPECT_EQ(span->list_id, SpanListId::kNone);
  EXPECT_EQ(heap_.StateOf(span), SweepState::kBeingSwept);
  gate.Open();
  sweeper.join();
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 1);
  EXPECT_EQ(heap_.Acquire(shape_), span);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// ---- A cycle waits, wherever a sweeper is

struct Place {
  const char* name;
  RacePoint point;
  bool by_address;  // a reclaimer; otherwise off the lists
};

class CycleRaceTest : public SweepRaceTest,
                      public testing::WithParamInterface<Place> {};

TEST_P(CycleRaceTest, NextCycleWaitsForTheSweeper) {
  constexpr size_t kSpans = 3;
  const std::vector<Span*> spans = FullSpans(kSpans);
  heap_.CycleThatMarksNothing();
  const uint32_t generation = heap_.sweeper()->generation();
  Gate gate(GetParam().point);
  std::thread sweeper([&] {
    size_t freed;
    if (GetParam().by_address) {
      heap_.sweeper()->Reclaim(1, kAll);
    } else {
      heap_.sweeper()->SweepSome(1, &freed);
    }
  });
  gate.WaitUntilReached();
  std::atomic<bool> has_begun{false};
  std::thread collector([&] {
    heap_.sweeper()->SweepAllAndWait();
    has_begun.store(true);
    EXPECT_EQ(SpanCount(), 0) << "dead pages are free when sweeping is over";
    EXPECT_EQ(heap_.sweeper()->swept_pages(), kSpans);
    heap_.CycleThatMarksNothing();
  });
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  EXPECT_FALSE(has_begun.load());
  EXPECT_FALSE(heap_.sweeper()->is_done());
  EXPECT_EQ(heap_.sweeper()->generation(), generation);
  gate.Open();
  sweeper.join();
  collector.join();
  EXPECT_EQ(heap_.sweeper()->generation(), generation + kGenerationStep);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

INSTANTIATE_TEST_SUITE_P(
    Places, CycleRaceTest,
    testing::Values(
        Place{"SpanOffItsList", RacePoint::kSpanPopped, false},
        Place{"TokenOfASpanOffItsList", RacePoint::kSweepTokenTaken, false},
        Place{"DeadSpansOffTheirList", RacePoint::kSpansDead, false},
        Place{"ChunkClaimed", RacePoint::kChunkClaimed, true},
        Place{"SpansLookedUp", RacePoint::kSpansLookedUp, true},
        Place{"TokenByAddress", RacePoint::kSweepTokenTaken, true},
        Place{"DeadSpansByAddress", RacePoint::kSpansDead, true}),
    [](const testing::TestParamInfo<Place>& info) {
      return std::string(info.param.name);
    });

// ---- Between freeing a span and using its record again

// A mutator has taken a span off its list; then that is swept and freed, and
// its record becomes a span of another class, on the list of that class, in the
// same generation. To look at sweepgen would tell the mutator that the span is
// swept.
TEST_F(SweepRaceTest, SpanIsReusedBetweenPopAndToken) {
  const std::vector<Span*> spans = FullSpans(2);
  Span* span = spans[1];  // dead; the other is why sweeping is not drained
  CycleMarking({spans[0]}, 0);
  Gate gate(RacePoint::kSpanPopped);
  Span* acquired = nullptr;
  std::thread allocator([&] { acquired = heap_.Acquire(shape_); });
  gate.WaitUntilReached();
  EXPECT_EQ(span->list_id, SpanListId::kNone);
  heap_.sweeper()->Reclaim(1, kAll);
  EXPECT_EQ(SpanCount(), 1);
  Span* other = heap_.Acquire(other_shape_);
  ASSERT_EQ(other, span) << "the record last freed is the first to be used";
  for (int i = 0; i < 3; i++) HeapFixture::TakeCell(other);
  Fill(other);
  heap_.source()->Release(other);
  EXPECT_EQ(heap_.StateOf(other), SweepState::kSwept);
  const Record before(other);
  gate.Open();
  allocator.join();
  EXPECT_TRUE(Record(other) == before);
  EXPECT_TRUE(IsFilled(other));
  EXPECT_EQ(acquired, spans[0]);
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 2);
  EXPECT_EQ(heap_.Acquire(other_shape_), other);
  EXPECT_EQ(HeapFixture::TakeCell(other), 3);
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// A reclaimer has read which spans lie in some pages; then all are swept and
// freed, and other spans use their records and pages.
TEST_F(SweepRaceTest, SpansAreReusedBetweenLookupAndToken) {
  constexpr size_t kSpans = 30;
  const std::vector<Span*> spans = FullSpans(kSpans);
  heap_.CycleThatMarksNothing();
  Gate gate(RacePoint::kSpansLookedUp);
  std::thread reclaimer([&] { heap_.sweeper()->Reclaim(1, kAll); });
  gate.WaitUntilReached();
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(SpanCount(), 0);
  const std::vector<Span*> others = OtherSpans(kSpans);
  for (const Span* span : others) EXPECT_TRUE(Contains(spans, span));
  // Cached, on a list, and in the pool.
  for (size_t i = 0; i < kSpans; i += 3) heap_.source()->Release(others[i]);
  for (size_t i = 1; i < kSpans; i += 3) {
    others[i]->sweepgen.store(Swept(heap_.sweeper()->generation()));
    heap_.pages()->FreeSpan(others[i]);
  }
  const std::vector<Record> before = RecordsOf(others);
  gate.Open();
  reclaimer.join();
  EXPECT_TRUE(RecordsOf(others) == before);
  EXPECT_EQ(heap_.sweeper()->swept_pages(), kSpans);
  EXPECT_EQ(SpanCount(), kSpans - kSpans / 3);
  for (size_t i = 0; i < kSpans; i++) {
    if (i % 3 == 1) continue;
    EXPECT_EQ(heap_.pages()->FindSpan(others[i]->base), others[i]);
    EXPECT_TRUE(IsFilled(others[i]));
  }
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// The same while such a record is about to be set up.
TEST_F(SweepRaceTest, ReclaimerSeesARecordThatIsBeingReused) {
  const std::vector<Span*> spans = FullSpans(1);
  const uintptr_t base = spans[0]->base;
  heap_.CycleThatMarksNothing();
  Gate lookup(RacePoint::kSpansLookedUp);
  Gate reuse(RacePoint::kRecordTaken);
  std::thread reclaimer([&] { heap_.sweeper()->Reclaim(1, kAll); });
  lookup.WaitUntilReached();
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(SpanCount(), 0);
  std::vector<Span*> others;
  std::thread allocator([&] { others = OtherSpans(1); });
  reuse.WaitUntilReached();
  const uint32_t generation = heap_.sweeper()->generation();
  EXPECT_EQ(spans[0]->sweepgen.load(), Swept(generation))
      << "a free record keeps its generation";
  EXPECT_EQ(heap_.pages()->FindSpan(base), nullptr);
  EXPECT_FALSE(SweepToken::TryAcquire(spans[0], generation));
  lookup.Open();
  reclaimer.join();
  EXPECT_EQ(heap_.sweeper()->swept_pages(), 1);
  reuse.Open();
  allocator.join();
  EXPECT_EQ(others, spans);
  EXPECT_EQ(heap_.StateOf(others[0]), SweepState::kCached);
  EXPECT_TRUE(IsFilled(others[0]));
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// ---- Between claiming a chunk and looking at it

// All spans of the chunk are swept and freed, others are made in their pages,
// and a cycle is wanted.
TEST_F(SweepRaceTest, ChunkIsUsedAgainBetweenClaimAndLook) {
  constexpr size_t kSpans = 100;
  const std::vector<Span*> spans = FullSpans(kSpans);
  heap_.CycleThatMarksNothing();
  const uint32_t generation = heap_.sweeper()->generation();
  Gate gate(RacePoint::kChunkClaimed);
  std::thread reclaimer([&] { heap_.sweeper()->Reclaim(1, kAll); });
  gate.WaitUntilReached();
  heap_.sweeper()->SweepAll();
  EXPECT_EQ(SpanCount(), 0);
  const std::vector<Span*> others = OtherSpans(kSpans);
  for (Span* span : others) {
    EXPECT_TRUE(Contains(spans, span));
    heap_.source()->Release(span);
  }
  std::atomic<bool> has_begun{false};
  std::thread collector([&] {
    heap_.sweeper()->SweepAllAndWait();
    has_begun.store(true);
    heap_.Cycle([&] {
      Mark(others, 2);
      return kSpans * kOtherCellBytes;
    });
  });
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  EXPECT_FALSE(has_begun.load());
  EXPECT_EQ(heap_.sweeper()->generation(), generation);
  gate.Open();
  reclaimer.join();
  collector.join();
  EXPECT_EQ(SpanCount(), kSpans) << "nothing new was taken for dead";
  EXPECT_EQ(heap_.sweeper()->swept_pages(), kSpans);
  heap_.sweeper()->SweepAllAndWait();
  EXPECT_EQ(SpanCount(), kSpans);
  for (const Span* span : others) {
    EXPECT_EQ(span->allocated_cells, 1);
    EXPECT_TRUE(span->IsAllocated(2));
    EXPECT_TRUE(IsFilled(span));
  }
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

// Some spans of the chunk are with another reclaimer or sweeper: each dead span
// is freed once, and the living are left alone.
TEST_F(SweepRaceTest, ChunkIsSweptByOthersBetweenClaimAndLook) {
  constexpr size_t kSpans = 100;
  const std::vector<Span*> spans = FullSpans(kSpans);
  std::vector<Span*> living;
  for (size_t i = 0; i < kSpans; i += 2) living.push_back(spans[i]);
  CycleMarking(living, 7);
  Gate claim(RacePoint::kChunkClaimed);
  Gate token(RacePoint::kSweepTokenTaken);
  std::thread reclaimer([&] { heap_.sweeper()->Reclaim(kAll, kAll); });
  claim.WaitUntilReached();
  std::thread sweeper([&] {
    size_t freed;
    heap_.sweeper()->SweepSome(20, &freed);
  });
  token.WaitUntilReached();
  claim.Open();
  reclaimer.join();
  const size_t swept = heap_.sweeper()->swept_pages();
  EXPECT_GE(swept, kSpans / 2 - 1);
  EXPECT_LE(swept, kSpans / 2);
  token.Open();
  sweeper.join();
  heap_.sweeper()->SweepAllAndWait();
  EXPECT_EQ(heap_.sweeper()->swept_pages(), kSpans);
  EXPECT_EQ(SpanCount(), living.size());
  for (const Span* span : living) {
    EXPECT_EQ(heap_.StateOf(span), SweepState::kSwept);
    EXPECT_TRUE(span->IsAllocated(7));
  }
  ASSERT_NO_FATAL_FAILURE(heap_.Check());
}

#else

TEST(SweepRaceTest, NeedsRaceHooks) {
  GTEST_SKIP() << "race hooks exist in the sanitizer configurations only";
}

#endif

}  // namespace
}  // namespace loam
