#include "runtime/heap/page_allocator.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = PageAllocatorFixture::kNone;
constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
constexpr size_t kChunk = kPagesPerChunk;

struct PageRun {
  size_t page;
  size_t count;
};

// One request, and what it must find.
struct Request {
  size_t count;
  size_t expected;   // page number, or kNone
  size_t scavenged;  // of the pages found
};

struct Case {
  const char* name;
  std::vector<size_t> arenas;
  std::vector<PageRun> allocated;         // before the requests
  std::vector<PageRun> scavenged_but_in;  // free and committed everywhere else
  std::vector<Request> requests;
};

std::vector<Request> Repeat(size_t times, size_t count, size_t first) {
  std::vector<Request> requests;
  requests.reserve(times);
  for (size_t i = 0; i < times; i++) {
    requests.push_back({count, first + i * count, 0});
  }
  return requests;
}

std::vector<Case> Cases() {
  return {
      {"AllFree1", {0}, {}, {}, Repeat(6, 1, 0)},
      {"AllFree2", {0}, {}, {}, Repeat(6, 2, 0)},
      {"AllFree5", {0}, {}, {}, Repeat(6, 5, 0)},
      {"AllFree64", {0}, {}, {}, Repeat(6, 64, 0)},
      {"AllFree65", {0}, {}, {}, Repeat(9, 65, 0)},
      {"AllFree512", {0}, {}, {}, Repeat(16, 512, 0)},
      {"AllFree513StraddlesChunks", {0}, {}, {}, Repeat(15, 513, 0)},
      {"SevenChunksAndFivePages",
       {0},
       {{0, 3}},
       {},
       {{7 * kChunk + 5, 3, 0}, {1, 7 * kChunk + 8, 0}}},
      {"WholeArena", {0}, {}, {}, {{kArena, 0, 0}, {1, kNone, 0}}},
      {"MoreThanThereIs", {0}, {}, {}, {{kArena + 1, kNone, 0}, {1, 0, 0}}},
      {"FirstFitNotBestFit",
       {0},
       {{10, 5}, {17, kArena - 17}},  // free: 0 to 9, and 15, 16
       {},
       {{2, 0, 0}, {8, 2, 0}, {3, kNone, 0}, {2, 15, 0}, {1, kNone, 0}}},
      {"SmallHolesAreSkippedAndFilledLater",
       {0},
       {{1, 1}, {3, 1}, {6, 1}},
       {},
       {{3, 7, 0}, {2, 4, 0}, {1, 0, 0}, {1, 2, 0}, {1, 10, 0}}},
      {"StraddlesChunksWithOnePageBefore",
       {0},
       {{0, kChunk - 1}, {kChunk + 1, kArena - kChunk - 1}},
       {},
       {{3, kNone, 0}, {2, kChunk - 1, 0}, {1, kNone, 0}}},
      {"StraddlesThreeChunks",
       {0},
       {{0, kChunk - 7}, {2 * kChunk + 9, kArena - 2 * kChunk - 9}},
       {},
       {{kChunk + 17, kNone, 0}, {kChunk + 16, kChunk - 7, 0}}},
      {"ChunkInTheMiddleBreaksTheRun",
       {0},
       {{0, kChunk - 7}, {kChunk + 100, 1}, {3 * kChunk, kArena - 3 * kChunk}},
       {},
       {{108, kChunk + 101, 0}, {107, kChunk - 7, 0}}},
      {"StraddlesArenas",
       {0, 1},
       {{0, kArena - 3}, {kArena + 4, kArena - 4}},
       {},
       {{8, kNone, 0}, {7, kArena - 3, 0}}},
      {"TwoArenasAreOneRun",
       {0, 1},
       {},
       {},
       {{2 * kArena, 0, 0}, {1, kNone, 0}}},
      {"DiscontiguousArenasAreNotOneRun",
       {0, 2},
       {{0, kArena - 3}},
       {},
       {{4, 2 * kArena, 0},
        {3, kArena - 3, 0},
        {kArena - 4, 2 * kArena + 4, 0},
        {1, kNone, 0}}},
      {"DiscontiguousWithFreeEnds",
       {0, 2, 3},
       {},
       {},
       {{2 * kArena, 2 * kArena, 0}, {kArena + 1, kNone, 0}, {kArena, 0, 0}}},
      {"ScavengedPagesAreCounted",
       {0},
       {{0, 2}},
       {{2, 10}, {20, 1}},
       {{5, 2, 5}, {7, 7, 5}, {10, 14, 1}, {10, 24, 0}}},
      {"ScavengedAcrossChunks",
       {0},
       {},
       {{kChunk - 2, 4}},
       {{kChunk - 1, 0, 1}, {kChunk, kChunk - 1, 3}}},
  };
}

// Every page free and committed, but for what the case says.
std::unique_ptr<PageAllocatorFixture> Build(const Case& c) {
  auto fixture = std::make_unique<PageAllocatorFixture>();
  for (const size_t arena : c.arenas) {
    fixture->AddFreeArena(arena);
    fixture->AllocateAt(arena * kArena, kArena);  // Not scavenged any more.
    fixture->Free(arena * kArena, kArena);
  }
  // Scavenging takes the highest pages: leave it only those that are wanted.
  if (!c.scavenged_but_in.empty()) {
    for (const size_t arena : c.arenas) {
      fixture->AllocateAt(arena * kArena, kArena);
    }
    for (const PageRun& run : c.scavenged_but_in)
      fixture->Free(run.page, run.count);
    fixture->pages()->Scavenge(SIZE_MAX,
                               [](uintptr_t, size_t) { return true; });
    for (const size_t arena : c.arenas) {
      size_t page = arena * kArena;
      for (const PageRun& run : c.scavenged_but_in) {
        fixture->Free(page, run.page - page);
        page = run.page + run.count;
      }
      fixture->Free(page, (arena + 1) * kArena - page);
    }
  }
  for (const PageRun& run : c.allocated)
    fixture->AllocateAt(run.page, run.count);
  return fixture;
}

TEST(PageAllocatorTest, Table) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const std::unique_ptr<PageAllocatorFixture> fixture = Build(c);
    ASSERT_NO_FATAL_FAILURE(fixture->Check());
    std::vector<PageRun> made;
    const size_t free_before = fixture->pages()->free_pages();
    const size_t committed_before = fixture->pages()->free_committed_pages();
    size_t taken = 0;
    size_t scavenged = 0;
    for (const Request& request : c.requests) {
      SCOPED_TRACE(request.count);
      const uintptr_t found = fixture->pages()->Find(request.count);
      if (request.expected == kNone) {
        EXPECT_EQ(found, 0);
        continue;
      }
      ASSERT_EQ(found, PageAllocatorFixture::Address(request.expected));
      EXPECT_EQ(fixture->CountScavenged(request.expected, request.count),
                request.scavenged);
      fixture->AllocateAt(request.expected, request.count);
      EXPECT_EQ(fixture->CountScavenged(request.expected, request.count), 0);
      made.push_back({request.expected, request.count});
      taken += request.count;
      scavenged += request.scavenged;
      ASSERT_NO_FATAL_FAILURE(fixture->Check());
    }
    EXPECT_EQ(fixture->pages()->free_pages(), free_before - taken);
    EXPECT_EQ(fixture->pages()->free_committed_pages(),
              committed_before - (taken - scavenged));
    // Freed in another order than taken, everything coalesces.
    std::reverse(made.begin(), made.end());
    for (const PageRun& run : made) {
      fixture->Free(run.page, run.count);
      ASSERT_NO_FATAL_FAILURE(fixture->Check());
    }
    EXPECT_EQ(fixture->pages()->free_pages(), free_before);
    for (const Request& request : c.requests) {
      if (request.expected == kNone) continue;
      EXPECT_EQ(fixture->Allocate(request.count), request.expected)
          << "the same again";
    }
  }
}

TEST(PageAllocatorTest, NothingBeforeTheFirstArena) {
  PageAllocatorFixture fixture;
  EXPECT_EQ(fixture.Allocate(1), kNone);
  fixture.AddArena(3);
  EXPECT_EQ(fixture.Allocate(1), kNone) << "not grown into yet";
  EXPECT_EQ(fixture.pages()->free_pages(), 0);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageAllocatorTest, GrowsByPartsOfChunks) {
  PageAllocatorFixture fixture;
  fixture.AddArena(0);
  fixture.Grow(0, 64);
  EXPECT_EQ(fixture.Allocate(65), kNone);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 0);
  fixture.Grow(64, 1);
  EXPECT_EQ(fixture.Allocate(65), 0);
  fixture.Grow(65, kChunk);
  EXPECT_EQ(fixture.pages()->free_pages(), kChunk);
  EXPECT_EQ(fixture.Allocate(kChunk), 65);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageAllocatorTest, ArenasMayComeInAnyOrder) {
  PageAllocatorFixture fixture;
  for (const size_t arena : {7, 2, 5, 3, 9, 0}) {
    fixture.AddFreeArena(arena);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  const size_t count = fixture.pages()->arena_count();
  ASSERT_EQ(count, 6 * kArena / kPagesPerArena);
  for (size_t i = 1; i < count; i++) {
    EXPECT_LT(fixture.pages()->arena(i - 1)->base,
              fixture.pages()->arena(i)->base);
  }
  EXPECT_EQ(fixture.Allocate(kArena + 1), 2 * kArena) << "only 2 and 3 adjoin";
  EXPECT_EQ(fixture.Allocate(1), 0);
}

TEST(PageAllocatorTest, ArenaBelowFullOnesIsFound) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(4);
  EXPECT_EQ(fixture.Allocate(kArena), 4 * kArena);
  EXPECT_EQ(fixture.Allocate(1), kNone);  // Remembers that all is full.
  fixture.AddFreeArena(1);
  EXPECT_EQ(fixture.Allocate(kArena), kArena);
  EXPECT_EQ(fixture.Allocate(1), kNone);
  fixture.AddFreeArena(2);
  fixture.Free(4 * kArena + 77, 1);
  EXPECT_EQ(fixture.Allocate(kArena), 2 * kArena);
  EXPECT_EQ(fixture.Allocate(1), 4 * kArena + 77);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageAllocatorTest, ExhaustWithRunsOfEverySize) {
  for (const size_t count : {1, 2, 3, 4, 5, 8, 16, 64, 511, 512, 513, 1024}) {
    SCOPED_TRACE(count);
    PageAllocatorFixture fixture;
    fixture.AddFreeArena(0);
    fixture.AddFreeArena(1);
    size_t expected = 0;
    for (;;) {
      const size_t page = fixture.Allocate(count);
      if (page == kNone) break;
      ASSERT_EQ(page, expected);
      expected += count;
    }
    EXPECT_EQ(expected, 2 * kArena / count * count);
    EXPECT_EQ(fixture.pages()->free_pages(), 2 * kArena - expected);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
}

TEST(PageAllocatorTest, FreedPagesCoalesceWithBothNeighbours) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  ASSERT_EQ(fixture.Allocate(kArena), 0);
  fixture.Free(kChunk - 10, 10);
  fixture.Free(kChunk + 5, 10);
  EXPECT_EQ(fixture.Allocate(11), kNone);
  fixture.Free(kChunk, 5);
  EXPECT_EQ(fixture.Allocate(25), kChunk - 10);
  EXPECT_EQ(fixture.Allocate(1), kNone);
}

TEST(PageAllocatorTest, ScavengesTheHighestPagesFirst) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  ASSERT_EQ(fixture.Allocate(kArena), 0);
  fixture.Free(100, 10);
  fixture.Free(5000, 10);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 20);
  std::vector<std::pair<size_t, size_t>> runs;
  const auto record = [&](uintptr_t address, size_t count) {
    runs.emplace_back(PageAllocatorFixture::PageNumber(address), count);
    return true;
  };
  EXPECT_EQ(fixture.pages()->Scavenge(4, record), 4);
  EXPECT_EQ(fixture.pages()->Scavenge(11, record), 11);
  EXPECT_EQ(fixture.pages()->Scavenge(1000, record), 5);
  EXPECT_EQ(fixture.pages()->Scavenge(1000, record), 0);
  const std::vector<std::pair<size_t, size_t>> expected = {
      {5000, 4}, {5004, 6}, {100, 5}, {105, 5}};
  EXPECT_EQ(runs, expected);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 0);
  EXPECT_EQ(fixture.pages()->free_pages(), 20);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  // They can be taken again, and count as scavenged until then.
  EXPECT_EQ(fixture.CountScavenged(100, 10), 10);
  EXPECT_EQ(fixture.Allocate(10), 100);
  fixture.Free(100, 10);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 10);
  EXPECT_EQ(fixture.CountScavenged(100, 10), 0);
}

TEST(PageAllocatorTest, PagesTakenToBeScavengedAreNobodys) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AddFreeArena(2);
  PageAllocator* const pages = fixture.pages();
  ASSERT_EQ(fixture.Allocate(kArena), 0);
  ASSERT_EQ(fixture.Allocate(kArena), 2 * kArena);
  EXPECT_EQ(pages->TakeScavengable(UINTPTR_MAX, 64).pages, 0);
  fixture.Free(100, 20);
  fixture.Free(2 * kArena + 300, 200);
  // The highest first, of its upper end.
  const auto first = pages->TakeScavengable(UINTPTR_MAX, 64);
  EXPECT_EQ(first.address, PageAllocatorFixture::Address(2 * kArena + 436));
  EXPECT_EQ(first.pages, 64);
  EXPECT_EQ(pages->free_pages(), 156);
  EXPECT_EQ(pages->free_committed_pages(), 156);
  EXPECT_EQ(fixture.Allocate(200), kNone);
  const auto second = pages->TakeScavengable(first.address, 1000);
  EXPECT_EQ(second.address, PageAllocatorFixture::Address(2 * kArena + 300));
  EXPECT_EQ(second.pages, 136);
  const auto third = pages->TakeScavengable(second.address, 64);
  EXPECT_EQ(third.address, PageAllocatorFixture::Address(100));
  EXPECT_EQ(third.pages, 20);
  EXPECT_EQ(pages->TakeScavengable(third.address, 64).pages, 0);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  for (const auto& run : {first, second, third}) pages->ReturnScavenged(run);
  EXPECT_EQ(pages->free_pages(), 220);
  EXPECT_EQ(pages->free_committed_pages(), 0);
  EXPECT_EQ(fixture.CountScavenged(2 * kArena + 300, 200), 200);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  EXPECT_EQ(fixture.Allocate(200), 2 * kArena + 300);
}

TEST(PageAllocatorTest, DenseChunksAreNotScavenged) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  ASSERT_EQ(fixture.Allocate(kArena), 0);
  fixture.Free(kChunk, 16);  // 496 of 512 are in use.
  EXPECT_EQ(fixture.pages()->TakeScavengable(UINTPTR_MAX, 64).pages, 0);
  fixture.Free(kChunk + 16, 1);
  EXPECT_EQ(fixture.pages()->TakeScavengable(UINTPTR_MAX, 64).pages, 17);
}

}  // namespace
}  // namespace loam
