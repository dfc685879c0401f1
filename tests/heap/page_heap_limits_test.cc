// A page heap at its limits: more arenas than one, and less memory than asked
// for.

#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"
#include "tests/base/test_random.h"
#include "tests/heap/free_place.h"
#include "tests/heap/span_of_pages.h"

namespace loam {
namespace {

class PageHeapLimitsTest : public testing::Test {
 protected:
  void Start(const PageHeapOptions& options = {}) {
    heap_ = std::make_unique<PageHeap>(&ledger_, &persistent_, options);
    ASSERT_TRUE(heap_->Initialize());
  }
  Span* Allocate(size_t pages, bool may_grow = true) {
    return heap_->AllocateSpan(Pages(pages), kGeneration, may_grow);
  }
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(heap_->CheckInvariants(problem, sizeof(problem))) << problem;
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  std::unique_ptr<PageHeap> heap_;
};

TEST_F(PageHeapLimitsTest, LargeSpanAcrossArenas) {
  Start();
  ASSERT_NE(Allocate(5), nullptr);
  const size_t pages = 3 * kPagesPerArena + 17;  // more than 192 MiB
  Span* span = Allocate(pages);
  ASSERT_NE(span, nullptr);
  EXPECT_FALSE(span->need_zero);
  EXPECT_EQ(span->cell_count, 1);
  for (size_t i = 0; i < pages; i++) {
    const uintptr_t page = span->base + i * kPageBytes;
    ASSERT_EQ(heap_->FindSpan(page), span);
  }
  const uintptr_t last = span->base + span->bytes() - 1;
  EXPECT_EQ(span->CellIndex(last), 0);
  *reinterpret_cast<char*>(span->base) = 1;
  *reinterpret_cast<char*>(last) = 1;
  *reinterpret_cast<char*>(span->base + 2 * kArenaBytes) = 1;
  int spans = 0;
  heap_->ForEachSpan([&](Span*) { spans++; });
  EXPECT_EQ(spans, 2);
  ASSERT_NO_FATAL_FAILURE(Check());
  const uintptr_t base = span->base;
  heap_->FreeSpan(span);
  ASSERT_NO_FATAL_FAILURE(Check());
  Span* again = Allocate(pages, /*may_grow=*/false);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->base, base);
  EXPECT_TRUE(again->need_zero);
}

TEST_F(PageHeapLimitsTest, HintIsWhereTheHeapStarts) {
  const uintptr_t hint = FreePlace(4 * kArenaBytes);
  PageHeapOptions options;
  options.arena_hint = hint;
  options.linear_reservation_bytes = 0;
  Start(options);
  Span* span = Allocate(1);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(span->base, hint);
}

// Something else lies where the heap wants to grow: it goes on elsewhere, and
// uses what was left of the arenas before.
TEST_F(PageHeapLimitsTest, GoesOnBehindAnObstacle) {
  const uintptr_t hint = FreePlace(4 * kArenaBytes);
  const uintptr_t obstacle = hint + kArenaBytes;
  ASSERT_EQ(os::ReserveExactly(obstacle, 3 * kArenaBytes), obstacle);
  PageHeapOptions options;
  options.arena_hint = hint;
  options.linear_reservation_bytes = 0;
  Start(options);
  Span* first = Allocate(kPagesPerArena - 100);
  ASSERT_NE(first, nullptr);
  ASSERT_EQ(first->base, hint);
  Span* second = Allocate(200);
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->base < hint || second->base >= hint + 4 * kArenaBytes);
  EXPECT_EQ(second->base % kArenaBytes, 0);
  ASSERT_NO_FATAL_FAILURE(Check());
  Span* rest = Allocate(100, /*may_grow=*/false);
  ASSERT_NE(rest, nullptr) << "the end of the first arena was lost";
  EXPECT_EQ(heap_->FindSpan(rest->base), rest);
  EXPECT_LE(heap_->lowest_address(), rest->base);
  EXPECT_GE(heap_->highest_address(), rest->base + rest->bytes());
  heap_->FreeSpan(second);
  heap_->FreeSpan(rest);
  heap_->FreeSpan(first);
  ASSERT_NO_FATAL_FAILURE(Check());
  heap_.reset();
  os::Release(obstacle, 3 * kArenaBytes);
}

TEST_F(PageHeapLimitsTest, TwoHeapsDoNotMeet) {
  Start();
  MemoryLedger other_ledger;
  PersistentAllocator other_persistent(&other_ledger);
  PageHeap other(&other_ledger, &other_persistent, {});
  ASSERT_TRUE(other.Initialize());
  for (int i = 0; i < 20; i++) {
    Span* mine = Allocate(1000);
    Span* theirs = other.AllocateSpan(Pages(1000), kGeneration, true);
    ASSERT_NE(mine, nullptr);
    ASSERT_NE(theirs, nullptr);
    memset(reinterpret_cast<void*>(mine->base), 1, kPageBytes);
    memset(reinterpret_cast<void*>(theirs->base), 2, kPageBytes);
    EXPECT_EQ(heap_->FindSpan(theirs->base), nullptr);
    EXPECT_EQ(other.FindSpan(mine->base), nullptr);
  }
}

TEST_F(PageHeapLimitsTest, RefusalByTheLimitLeavesEverythingUsable) {
  Start();
  Span* kept = Allocate(10);
  ASSERT_NE(kept, nullptr);
  ledger_.set_limit(ledger_.committed() + 100 * kPageBytes);
  EXPECT_EQ(Allocate(101), nullptr);
  ASSERT_NO_FATAL_FAILURE(Check());
  const uint64_t metadata = ledger_.metadata();
  Span* fits = Allocate(60);
  ASSERT_NE(fits, nullptr);
  EXPECT_EQ(Allocate(60), nullptr);
  ASSERT_NO_FATAL_FAILURE(Check());
  const uintptr_t base = fits->base;
  heap_->FreeSpan(fits);
  Span* again = Allocate(60);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->base, base);
  EXPECT_EQ(ledger_.metadata(), metadata);
  EXPECT_LE(ledger_.committed(), ledger_.limit());
  ledger_.set_limit(UINT64_MAX);
  EXPECT_NE(Allocate(1000), nullptr);
  ASSERT_NO_FATAL_FAILURE(Check());
}

TEST_F(PageHeapLimitsTest, NoRoomForMetadata) {
  Start();
  ledger_.set_limit(ledger_.committed());
  EXPECT_EQ(Allocate(1), nullptr);
  EXPECT_EQ(heap_->stats().spans, 0);
  ASSERT_NO_FATAL_FAILURE(Check());
  ledger_.set_limit(UINT64_MAX);
  EXPECT_NE(Allocate(1), nullptr);
  ASSERT_NO_FATAL_FAILURE(Check());
}

// Wherever an allocation fails for want of memory, the next may succeed.
TEST_F(PageHeapLimitsTest, EveryPointOfFailureLeavesItUsable) {
  for (size_t room = 0; room < (1 << 20); room += kOsPageBytes) {
    MemoryLedger ledger;
    PersistentAllocator persistent(&ledger);
    PageHeap heap(&ledger, &persistent, {});
    ASSERT_TRUE(heap.Initialize());
    ledger.set_limit(ledger.committed() + room);
    std::vector<Span*> spans;
    while (Span* span = heap.AllocateSpan(Pages(3), kGeneration, true)) {
      spans.push_back(span);
    }
    EXPECT_LE(ledger.counts().peak_committed, ledger.limit());
    char problem[256] = "";
    ASSERT_TRUE(heap.CheckInvariants(problem, sizeof(problem))) << problem;
    EXPECT_EQ(heap.stats().spans, spans.size());
    ledger.set_limit(UINT64_MAX);
    for (int i = 0; i < 100; i++) {
      ASSERT_NE(heap.AllocateSpan(Pages(3), kGeneration, true), nullptr);
    }
    for (Span* span : spans) heap.FreeSpan(span);
    ASSERT_TRUE(heap.CheckInvariants(problem, sizeof(problem))) << problem;
  }
}

TEST_F(PageHeapLimitsTest, MaxHeapBytesBoundsPages) {
  Start();
  heap_->set_max_heap_bytes(50 * kPageBytes);
  Span* first = Allocate(30);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(Allocate(21), nullptr);
  Span* second = Allocate(20);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(Allocate(1), nullptr);
  heap_->FreeSpan(first);
  first = Allocate(30);
  ASSERT_NE(first, nullptr);
  heap_->FreeSpan(second);
  heap_->record_bytes()->Add(5 * kPageBytes);  // They count too.
  EXPECT_EQ(Allocate(16), nullptr);
  EXPECT_NE(Allocate(15), nullptr);
  heap_->record_bytes()->Subtract(5 * kPageBytes);
  EXPECT_NE(Allocate(5), nullptr);
  EXPECT_EQ(Allocate(1), nullptr);
  // Free pages in the wrong place count too, until they are given back.
  heap_->FreeSpan(first);
  EXPECT_EQ(Allocate(31), nullptr);
  EXPECT_EQ(heap_->ReleaseFreePages(SIZE_MAX), 30 * kPageBytes);
  heap_->set_max_heap_bytes(51 * kPageBytes);
  EXPECT_NE(Allocate(31), nullptr);
  EXPECT_EQ(Allocate(1), nullptr);
  heap_->set_max_heap_bytes(UINT64_MAX);
  EXPECT_NE(Allocate(1), nullptr);
  ASSERT_NO_FATAL_FAILURE(Check());
}

// Small and large spans come and go in a full heap, and pages to the OS.
TEST_F(PageHeapLimitsTest, MaxHeapBytesHoldsWhateverIsReleased) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  Start();
  constexpr size_t kMaxPages = 600;
  heap_->set_max_heap_bytes(kMaxPages * kPageBytes);
  std::vector<Span*> spans;
  size_t refused = 0;
  for (int i = 0; i < 20000; i++) {
    const size_t choice = random.Below(20);
    if (choice < 10) {
      Span* span = Allocate(random.OneIn(10) ? random.Between(17, 60)
                                             : random.Between(1, 8));
      if (span != nullptr) {
        spans.push_back(span);
      } else {
        refused++;
      }
    } else if (choice < 19 && !spans.empty()) {
      std::swap(spans[random.Below(spans.size())], spans.back());
      heap_->FreeSpan(spans.back());
      spans.pop_back();
    } else if (random.OneIn(2)) {
      heap_->ReleaseFreePages(random.Between(1, 40) * kPageBytes);
    } else {
      uintptr_t below = UINTPTR_MAX;
      heap_->ScavengeBelow(&below);
    }
    const PageHeapStats stats = heap_->stats();
    ASSERT_EQ(stats.memory.committed - stats.memory.metadata,
              stats.span_bytes + stats.free_page_bytes)
        << i;
    ASSERT_LE(stats.span_bytes + stats.free_page_bytes, kMaxPages * kPageBytes)
        << i;
    if (i % 100 == 0) {
      ASSERT_NO_FATAL_FAILURE(Check());
    }
  }
  EXPECT_GT(refused, 0);
}

// The heap grows by more than it is asked for; near the limit, by just that.
TEST_F(PageHeapLimitsTest, TheLastPagesUnderTheLimitAreUsed) {
  Start();
  ASSERT_NE(Allocate(1), nullptr);
  // All but a few pages of the first arena are in spans: growth comes to its
  // end.
  const size_t rest = kPagesPerArena - 1 - 5;
  ASSERT_NE(Allocate(rest), nullptr);
  ledger_.set_limit(ledger_.committed() + 5 * kPageBytes);
  EXPECT_NE(Allocate(5), nullptr);
  EXPECT_EQ(Allocate(1), nullptr);
}

}  // namespace
}  // namespace loam
