// How a page allocator grows, and searches that cross what summaries cover.

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = PageAllocatorFixture::kNone;
constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
constexpr size_t kChunk = kPagesPerChunk;
// Arenas that an entry of a summary level covers.
constexpr size_t kArenasPerLevel2 = (size_t{256} << 20) / kPageBytes / kArena;
constexpr size_t kArenasPerRoot = (size_t{16} << 30) / kPageBytes / kArena;
// A TiB, or less where there are fewer addresses.
constexpr size_t kFar =
    std::min<uint64_t>(
        uint64_t{1} << 40,
        ((uintptr_t{1} << kAddressBits) - PageAllocatorFixture::kBase) / 4) /
    kPageBytes / kArena;

struct Growth {
  const char* name;
  std::vector<size_t> arenas;
  // Longest runs, by where they start.
  std::vector<size_t> run_starts;
  std::vector<size_t> run_pages;
};

const Growth kGrowth[] = {
    {"One", {0}, {0}, {kArena}},
    {"Contiguous", {0, 1, 2}, {0}, {3 * kArena}},
    {"ContiguousDownwards", {2, 1, 0}, {0}, {3 * kArena}},
    {"TheMiddleLast", {0, 2, 1}, {0}, {3 * kArena}},
    {"Apart", {0, 2}, {0, 2 * kArena}, {kArena, kArena}},
    {"FarApart",
     {0, kFar, 3 * kFar},
     {0, kFar* kArena, 3 * kFar* kArena},
     {kArena, kArena, kArena}},
    {"AcrossASummaryOfLevel2",
     {kArenasPerLevel2 - 1, kArenasPerLevel2},
     {(kArenasPerLevel2 - 1) * kArena},
     {2 * kArena}},
    {"AcrossARootEntry",
     {kArenasPerRoot - 1, kArenasPerRoot},
     {(kArenasPerRoot - 1) * kArena},
     {2 * kArena}},
};

TEST(PageAllocatorGrowthTest, RunsAreAsLongAsWhatIsAdjacent) {
  for (const Growth& growth : kGrowth) {
    SCOPED_TRACE(growth.name);
    PageAllocatorFixture fixture;
    for (const size_t arena : growth.arenas) {
      fixture.AddFreeArena(arena);
      ASSERT_NO_FATAL_FAILURE(fixture.Check());
    }
    EXPECT_EQ(fixture.pages()->free_pages(), growth.arenas.size() * kArena);
    EXPECT_EQ(fixture.pages()->free_committed_pages(), 0u);
    size_t longest = 0;
    for (size_t i = 0; i < growth.run_starts.size(); i++) {
      longest = std::max(longest, growth.run_pages[i]);
      EXPECT_EQ(fixture.Allocate(growth.run_pages[i]), growth.run_starts[i]);
    }
    EXPECT_EQ(fixture.pages()->free_pages(), 0u);
    for (size_t i = 0; i < growth.run_starts.size(); i++) {
      fixture.Free(growth.run_starts[i], growth.run_pages[i]);
    }
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
    EXPECT_EQ(fixture.Allocate(longest + 1), kNone);
    EXPECT_EQ(fixture.Allocate(longest), growth.run_starts[0]);
  }
}

TEST(PageAllocatorGrowthTest, ManyRangesInAnyOrder) {
  PageAllocatorFixture fixture;
  constexpr size_t kRanges = 33;
  // Every fifth arena of the even ones; 7 and 33 have no common factor.
  for (size_t i = 0; i < kRanges; i++) {
    fixture.AddFreeArena(i * 7 % kRanges * 10);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  const size_t arenas = kRanges * (kArena / kPagesPerArena);
  ASSERT_EQ(fixture.pages()->arena_count(), arenas);
  for (size_t i = 1; i < arenas; i++) {
    EXPECT_LT(fixture.pages()->arena(i - 1)->base,
              fixture.pages()->arena(i)->base);
  }
  for (size_t i = 0; i < kRanges; i++) {
    EXPECT_EQ(fixture.Allocate(kArena), i * 10 * kArena);
  }
  EXPECT_EQ(fixture.Allocate(1), kNone);
}

// The last pages of one region and the first of another, which no summary holds
// together: the search must not take them for a run.
TEST(PageAllocatorGrowthTest, ARunEndsWithItsRegion) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(kArenasPerLevel2 - 1);
  fixture.AddFreeArena(kArenasPerLevel2 + 1);
  const size_t low = (kArenasPerLevel2 - 1) * kArena;
  const size_t high = (kArenasPerLevel2 + 1) * kArena;
  fixture.AllocateAt(low, kArena - 5);
  fixture.AllocateAt(high + 5, kArena - 5);
  EXPECT_EQ(fixture.Allocate(6), kNone);
  EXPECT_EQ(fixture.Allocate(5), low + kArena - 5);
  EXPECT_EQ(fixture.Allocate(5), high);
  EXPECT_EQ(fixture.Allocate(1), kNone);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

// A search address between regions, or in one that is full, is a bound only.
TEST(PageAllocatorGrowthTest, TheSearchAddressMayLieInAHole) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AddFreeArena(40);
  // A long run in the first region, which is used up by short ones; the next
  // search begins behind it, where there is nothing.
  for (size_t taken = 0; taken < kArena; taken += 64) {
    ASSERT_EQ(fixture.Allocate(64), taken);
  }
  EXPECT_EQ(fixture.Allocate(3), 40 * kArena);
  EXPECT_EQ(fixture.Allocate(2 * kChunk), 40 * kArena + 3);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  // Lowered into the first region, and raised again past the hole.
  fixture.Free(10, 1);
  EXPECT_EQ(fixture.Allocate(2), 40 * kArena + 2 * kChunk + 3);
  EXPECT_EQ(fixture.Allocate(1), 10u);
  EXPECT_EQ(fixture.Allocate(1), 40 * kArena + 2 * kChunk + 5);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageAllocatorGrowthTest, ExhaustsRunsOfTwelveSizes) {
  for (const size_t pages :
       {1, 2, 3, 5, 13, 64, 65, 510, 512, 513, 3000, 8192}) {
    SCOPED_TRACE(pages);
    PageAllocatorFixture fixture;
    for (const size_t arena : {0, 1, 3}) fixture.AddFreeArena(arena);
    size_t runs = 0;
    size_t above = 0;
    for (size_t page; (page = fixture.Allocate(pages)) != kNone; runs++) {
      EXPECT_GE(page, above);
      above = page + pages;
    }
    EXPECT_EQ(runs, 2 * kArena / pages + kArena / pages);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
}

TEST(PageAllocatorGrowthTest, AllocatesWhatWasFreed) {
  for (const size_t pages : {1, 2, 5, 64, 65, 512}) {
    SCOPED_TRACE(pages);
    PageAllocatorFixture fixture;
    fixture.AddFreeArena(0);
    for (size_t i = 0; i < 9; i++) fixture.Allocate(pages);
    // Every other one; what is longer goes behind.
    for (size_t i = 1; i < 9; i += 2) fixture.Free(i * pages, pages);
    EXPECT_EQ(fixture.Allocate(pages + 1), 9 * pages);
    for (size_t i = 1; i < 9; i += 2) {
      EXPECT_EQ(fixture.Allocate(pages), i * pages);
    }
    EXPECT_EQ(fixture.Allocate(1), 10 * pages + 1);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
}

// ---- The scavenger's place to go on

TEST(ScavengingCursorTest, GoesDownFromOneRunToTheNext) {
  PageAllocatorFixture fixture;
  for (const size_t arena : {0, 3}) {
    fixture.AddFreeArena(arena);
    fixture.AllocateAt(arena * kArena, kArena);
  }
  const size_t runs[] = {3 * kArena + 900, 3 * kArena, kArena - 50, 100};
  for (const size_t page : runs) fixture.Free(page, 20);
  // All other chunks are dense, and so are these but for what comes.
  for (const size_t page : runs) {
    const size_t chunk = page / kChunk * kChunk;
    fixture.Free(chunk + 200, 100);
    fixture.pages()->Scavenge(SIZE_MAX, [&](uintptr_t address, size_t) {
      return address == PageAllocatorFixture::Address(chunk + 200);
    });
  }
  uintptr_t end = UINTPTR_MAX;
  for (size_t i = 0; i < 2; i++) {  // Once round, and nothing is left.
    for (const size_t page : runs) {
      const PageAllocator::PageRun run =
          fixture.pages()->TakeScavengable(end, 512);
      if (run.pages == 0) break;
      ASSERT_LT(run.address, end);
      end = run.address;
      fixture.pages()->ReturnScavenged(run);
      ASSERT_NO_FATAL_FAILURE(fixture.Check());
      (void)page;
    }
  }
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 0u);
  // What becomes free above the place is not seen from there.
  fixture.AllocateAt(runs[0], 20);
  fixture.Free(runs[0], 20);
  EXPECT_EQ(fixture.pages()->TakeScavengable(end, 512).pages, 0u);
  const PageAllocator::PageRun seen =
      fixture.pages()->TakeScavengable(UINTPTR_MAX, 512);
  EXPECT_EQ(seen.address, PageAllocatorFixture::Address(runs[0]));
  EXPECT_EQ(seen.pages, 20u);
  fixture.pages()->ReturnCommitted(seen);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

}  // namespace
}  // namespace loam
