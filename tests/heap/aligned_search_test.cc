// The page allocator's search for runs at multiples of an alignment.

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = PageAllocatorFixture::kNone;
constexpr size_t kArena = PageAllocatorFixture::kArenaPages;
constexpr size_t kChunk = kPagesPerChunk;

// Both in pages.
size_t FindAligned(PageAllocatorFixture* fixture, size_t pages,
                   size_t alignment) {
  const uintptr_t address =
      fixture->pages()->FindAligned(pages, alignment * kPageBytes);
  return address == 0 ? kNone : PageAllocatorFixture::PageNumber(address);
}

struct PageRun {
  size_t page;
  size_t count;
};
struct Request {
  size_t pages;
  size_t alignment;
  size_t expected;
};
struct Case {
  const char* name;
  std::vector<size_t> arenas;
  std::vector<PageRun> free;
  std::vector<Request> requests;
};

const Case kCases[] = {
    {"NothingFree", {0}, {}, {{1, 1, kNone}, {1, 64, kNone}}},
    {"WhateverIsFree",
     {0},
     {{0, kArena}},
     {{1, 1, 0}, {1, 512, 0}, {kArena, 8192, 0}, {kArena + 1, 1, kNone}}},
    {"RunsTooShortForTheirPlace",
     {0},
     {{1, 7}, {9, 7}, {20, 13}},
     {{1, 4, 4},
      {5, 4, 20},
      {4, 8, 24},
      {8, 8, 24},
      {9, 8, 24},
      {10, 8, kNone},
      {13, 2, 20},
      {1, 32, 32},
      {2, 32, kNone}}},
    {"NoRoomForPaddingIsNeeded",
     {0},
     {{64, 64}},
     {{64, 64, 64}, {64, 2, 64}, {65, 1, kNone}, {1, 128, kNone}}},
    {"AcrossChunks",
     {0},
     {{kChunk - 100, 200}},
     {{64, 64, kChunk - 64},
      {100, 512, kChunk},
      {101, 512, kNone},
      {164, 64, kChunk - 64},
      {165, 64, kNone}}},
    {"AWholeChunkInTheMiddle",
     {0},
     {{kChunk - 1, kChunk + 2}},
     {{kChunk, 512, kChunk}, {kChunk + 1, 512, kChunk}, {kChunk + 2, 1, 511}}},
    {"AcrossArenas",
     {0, 1},
     {{kArena - 3, 10}},
     {{7, 8192, kArena}, {8, 8192, kNone}, {9, 2, kArena - 2}}},
    {"NotAcrossAGap",
     {0, 2},
     {{kArena - 8, 8}, {2 * kArena, 8}},
     {{8, 8, kArena - 8}, {9, 1, kNone}, {8, 8192, 2 * kArena}}},
    {"ArenasFarApart",
     {0, 300, 1000},
     {{5, 3}, {300 * kArena + 1, 31}, {1000 * kArena + 2, 80}},
     {{16, 16, 300 * kArena + 16},
      {17, 16, 1000 * kArena + 16},
      {4, 4, 300 * kArena + 4},
      {2, 2, 6}}},
};

void Build(const Case& c, PageAllocatorFixture* fixture) {
  for (const size_t arena : c.arenas) {
    fixture->AddFreeArena(arena);
    fixture->AllocateAt(arena * kArena, kArena);
  }
  for (const PageRun& run : c.free) fixture->Free(run.page, run.count);
}

TEST(AlignedSearchTest, FindsTheLowestRunThatFits) {
  for (const Case& c : kCases) {
    PageAllocatorFixture fixture;
    Build(c, &fixture);
    for (const Request& request : c.requests) {
      EXPECT_EQ(FindAligned(&fixture, request.pages, request.alignment),
                request.expected)
          << c.name << ": " << request.pages << " pages at a multiple of "
          << request.alignment;
    }
  }
}

TEST(AlignedSearchTest, AllocationsStayAligned) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AllocateAt(0, 3);
  std::vector<size_t> taken;
  for (size_t i = 0; i < 10; i++) {
    const size_t page = FindAligned(&fixture, 5, 8);
    ASSERT_EQ(page, 8 * (i + 1));
    fixture.AllocateAt(page, 5);
    taken.push_back(page);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  EXPECT_EQ(fixture.Allocate(5), 3u) << "what they left out is used";
  EXPECT_EQ(fixture.Allocate(3), 13u);
  for (const size_t page : taken) fixture.Free(page, 5);
  EXPECT_EQ(FindAligned(&fixture, 5, 8), 8u);
}

TEST(AlignedSearchTest, AgreesWithASlowSearch) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 60; round++) {
    PageAllocatorFixture fixture;
    constexpr size_t kPages = 2 * kArena;
    fixture.AddFreeArena(0);
    fixture.AddFreeArena(1);
    std::vector<bool> taken(kPages, true);
    fixture.AllocateAt(0, kPages);
    const size_t longest = size_t{1} << random.Between(1, 11);
    for (size_t page = random.Below(longest); page < kPages;) {
      const size_t count = std::min(random.Between(1, longest), kPages - page);
      fixture.Free(page, count);
      std::fill_n(taken.begin() + static_cast<ptrdiff_t>(page), count, false);
      page += count + random.Between(1, longest);
    }
    for (int i = 0; i < 30; i++) {
      const size_t alignment = size_t{1} << random.Below(11);
      const size_t pages = random.Between(1, 2 * longest);
      size_t expected = kNone;
      for (size_t at = 0; at + pages <= kPages && expected == kNone;
           at += alignment) {
        size_t run = 0;
        while (run < pages && !taken[at + run]) run++;
        if (run == pages) expected = at;
      }
      ASSERT_EQ(FindAligned(&fixture, pages, alignment), expected)
          << pages << " pages at a multiple of " << alignment;
    }
  }
}

}  // namespace
}  // namespace loam
