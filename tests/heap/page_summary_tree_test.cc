// The tree by itself: leaves are made up, and what it finds compared with a
// walk over all of them.

#include "runtime/heap/page_summary_tree.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
constexpr size_t kMost = PageSummary::kMostPages;

void ExpectFields(PageSummary summary, size_t start, size_t longest,
                  size_t end) {
  EXPECT_EQ(summary.start(), start);
  EXPECT_EQ(summary.longest(), longest);
  EXPECT_EQ(summary.end(), end);
}

TEST(PageSummaryTest, HoldsWhatItWasGiven) {
  ExpectFields(PageSummary(), 0, 0, 0);
  ExpectFields({1, 2, 3}, 1, 2, 3);
  ExpectFields({kMost - 1, kMost - 1, 0}, kMost - 1, kMost - 1, 0);
  ExpectFields({0, kMost - 1, kMost - 1}, 0, kMost - 1, kMost - 1);
  ExpectFields({kMost, kMost, kMost}, kMost, kMost, kMost);
  EXPECT_TRUE(PageSummary(0, 0, 0).is_full());
  EXPECT_FALSE(PageSummary(0, 1, 0).is_full());
  EXPECT_FALSE(PageSummary(kMost, kMost, kMost).is_full());
}

TEST(PageSummaryTest, MergesNeighbours) {
  const size_t kPages = 10;
  const PageSummary full;
  const PageSummary free(kPages, kPages, kPages);
  const PageSummary some(2, 4, 3);
  const auto merge = [&](std::vector<PageSummary> parts) {
    return PageSummary::Merge(parts.data(), parts.size(), kPages);
  };
  EXPECT_EQ(merge({full, full, full}), full);
  EXPECT_EQ(merge({free, free, free}), PageSummary(30, 30, 30));
  EXPECT_EQ(merge({some, full, full}), PageSummary(2, 4, 0));
  EXPECT_EQ(merge({full, some, full}), PageSummary(0, 4, 0));
  EXPECT_EQ(merge({full, full, some}), PageSummary(0, 4, 3));
  EXPECT_EQ(merge({some, some, some}), PageSummary(2, 5, 3));
  EXPECT_EQ(merge({some, free, some}), PageSummary(2, 15, 3));
  EXPECT_EQ(merge({free, some, free}), PageSummary(12, 13, 13));
  EXPECT_EQ(merge({free, full, free}), PageSummary(10, 10, 10));
  EXPECT_EQ(merge({free, free, some}), PageSummary(22, 22, 3));
  const std::vector<PageSummary> eight(
      8, PageSummary(kMost / 8, kMost / 8, kMost / 8));
  EXPECT_EQ(PageSummary::Merge(eight.data(), 8, kMost / 8),
            PageSummary(kMost, kMost, kMost));
}

constexpr uintptr_t kBase = PageAllocatorFixture::kBase;

TEST(PageSummaryTreeTest, RunsOfAWholeRootEntryAndMore) {
  PageAllocatorFixture fixture;
  constexpr size_t kArenas = 2 * kMost / kArena + 3;
  for (size_t i = 0; i < kArenas; i++) {
    ASSERT_NO_FATAL_FAILURE(fixture.AddFreeArena(i));
  }
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  constexpr size_t kAll = kArenas * kArena;
  for (const size_t count : {kMost - 1, kMost, kMost + 1, 2 * kMost, kAll}) {
    EXPECT_EQ(fixture.Allocate(count), 0) << count;
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
    fixture.Free(0, count);
  }
  EXPECT_EQ(fixture.Allocate(kAll + 1), PageAllocatorFixture::kNone);
  fixture.AllocateAt(kMost - 1, 1);
  EXPECT_EQ(fixture.Allocate(kMost), kMost);
  EXPECT_EQ(fixture.Allocate(kMost), PageAllocatorFixture::kNone);
  EXPECT_EQ(fixture.Allocate(kMost - 1), 0);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

// Arenas far apart: TiB, so that each is in a root entry of its own.
TEST(PageSummaryTreeTest, FindsAcrossTheAddressSpace) {
  PageAllocatorFixture fixture;
  constexpr size_t kFar = AddressSpace::kHintStep / (kArena * kPageBytes);
  const std::vector<size_t> arenas = {40 * kFar, 0, 3 * kFar, 1, 3 * kFar + 1};
  for (const size_t arena : arenas) {
    ASSERT_NO_FATAL_FAILURE(fixture.AddFreeArena(arena));
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  const auto page = [](size_t arena) { return arena * kArena; };
  EXPECT_EQ(fixture.Allocate(2 * kArena + 1), PageAllocatorFixture::kNone);
  EXPECT_EQ(fixture.Allocate(2 * kArena), page(0));
  EXPECT_EQ(fixture.Allocate(kArena + 1), page(3 * kFar));
  EXPECT_EQ(fixture.Allocate(kArena), page(40 * kFar));
  EXPECT_EQ(fixture.Allocate(kArena - 1), page(3 * kFar + 1) + 1);
  EXPECT_EQ(fixture.Allocate(1), PageAllocatorFixture::kNone);
  fixture.Free(page(40 * kFar) + 77, 1);
  EXPECT_EQ(fixture.Allocate(1), page(40 * kFar) + 77);
  fixture.Free(page(1) - 1, 2);
  EXPECT_EQ(fixture.Allocate(2), page(1) - 1);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

// A search address is a bound and no page: it may lie between arenas.
TEST(PageSummaryTreeTest, TheSearchMayStartOutsideTheHeap) {
  PageAllocatorFixture fixture;
  ASSERT_NO_FATAL_FAILURE(fixture.AddFreeArena(0));
  ASSERT_NO_FATAL_FAILURE(fixture.AddFreeArena(5));
  EXPECT_EQ(fixture.Allocate(kArena), 0);  // Behind it is nothing.
  EXPECT_EQ(fixture.Allocate(1), 5 * kArena);
  EXPECT_EQ(fixture.Allocate(kArena), PageAllocatorFixture::kNone);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

// What a search looks at, and takes, in small and in very large heaps of the
// same occupancy: nine tenths.
struct Search {
  size_t most_steps = 0;
  double nanoseconds = 0;  // per run allocated and freed
};

Search SearchFullHeap(size_t arenas, TestRandom* random) {
  PageAllocatorFixture fixture;
  for (size_t i = 0; i < arenas; i++) fixture.AddFreeArena(i);
  struct Run {
    size_t page;
    size_t count;
  };
  std::vector<Run> runs;
  const auto any_count = [&] { return random->Between(1, 32); };
  for (;;) {
    const size_t count = any_count();
    const size_t page = fixture.Allocate(count);
    if (page == PageAllocatorFixture::kNone) break;
    runs.push_back({page, count});
  }
  const auto take_any = [&] {
    std::swap(runs[random->Below(runs.size())], runs.back());
    const Run run = runs.back();
    runs.pop_back();
    return run;
  };
  while (fixture.pages()->free_pages() < arenas * kArena / 10) {
    const Run run = take_any();
    fixture.Free(run.page, run.count);
  }
  Search search;
  for (size_t count = 1; count <= 3 * kPagesPerChunk; count++) {
    for (const uintptr_t from : {uintptr_t{0}, kBase}) {
      search.most_steps =
          std::max(search.most_steps,
                   fixture.pages()->summaries().Find(count, from).steps);
    }
  }
  constexpr size_t kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kRounds; i++) {
    const Run old = take_any();
    fixture.Free(old.page, old.count);
    const size_t count = any_count();
    const size_t page = fixture.Allocate(count);
    if (page != PageAllocatorFixture::kNone) runs.push_back({page, count});
  }
  const std::chrono::duration<double, std::nano> taken =
      std::chrono::steady_clock::now() - start;
  search.nanoseconds = taken.count() / kRounds;
  fixture.Check();
  return search;
}

TEST(PageSummaryTreeTest, ASearchLooksAtFewSummaries) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const size_t arenas : {1, 16, 1024}) {
    const Search search = SearchFullHeap(arenas, &random);
    std::printf("%zu MiB: at most %zu summaries, %.0f ns per run\n",
                arenas * (kArena * kPageBytes >> 20), search.most_steps,
                search.nanoseconds);
    EXPECT_LE(search.most_steps, 4 * PageSummaryTree::kChildren);
    EXPECT_GT(search.most_steps, 0);
  }
}

}  // namespace
}  // namespace loam
