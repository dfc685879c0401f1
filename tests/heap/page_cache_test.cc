// A mutator's cache of pages by itself, and what the page allocator gives it.

#include "runtime/heap/page_cache.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/heap/page_allocator_fixture.h"

namespace loam {
namespace {

constexpr size_t kNone = SIZE_MAX;
constexpr uintptr_t kBase = PageAllocatorFixture::kBase;
constexpr uint64_t kAll = ~uint64_t{0};

struct Take {
  size_t pages;
  size_t expected;  // page of the block, or kNone
  size_t scavenged;
};
struct Pattern {
  const char* name;
  uint64_t free;
  uint64_t scavenged;
  std::vector<Take> takes;
};

const Pattern kPatterns[] = {
    {"Empty", 0, 0, {{1, kNone, 0}, {2, kNone, 0}, {64, kNone, 0}}},
    {"Ones", kAll, 0, {{1, 0, 0}, {1, 1, 0}, {1, 2, 0}, {61, 3, 0}}},
    {"Twos", kAll, kAll, {{2, 0, 2}, {2, 2, 2}, {60, 4, 60}, {1, kNone, 0}}},
    {"FiftyThree", kAll, 0, {{53, 0, 0}, {53, kNone, 0}, {11, 53, 0}}},
    {"All", kAll, kAll, {{64, 0, 64}, {1, kNone, 0}}},
    {"AllButOne", kAll << 1, 0, {{64, kNone, 0}, {63, 1, 0}}},
    {"TheLastOnly", uint64_t{1} << 63, kAll << 63, {{2, kNone, 0}, {1, 63, 1}}},
    {"Holes",
     0x00ff'0f37,  // free: 0-2, 4, 5, 8-11, 16-23
     0x000f'0030,  // scavenged: 4, 5, 16-19
     {{4, 8, 0}, {5, 16, 4}, {2, 0, 0}, {2, 4, 2}, {3, 21, 0}, {1, 2, 0}}},
    {"EveryOther",
     0x5555'5555'5555'5555,
     0x1111'1111'1111'1111,
     {{2, kNone, 0}, {1, 0, 1}, {1, 2, 0}, {1, 4, 1}}},
};

TEST(PageCacheTest, TakesTheLowestRunOfAPattern) {
  for (const Pattern& pattern : kPatterns) {
    SCOPED_TRACE(pattern.name);
    PageCache cache;
    const uint64_t scavenged = pattern.scavenged & pattern.free;
    cache.Put({kBase, pattern.free, scavenged});
    uint64_t left = pattern.free;
    for (const Take& take : pattern.takes) {
      const PageCache::Run run = cache.Take(take.pages);
      if (take.expected == kNone) {
        EXPECT_EQ(run.address, 0) << take.pages;
        continue;
      }
      EXPECT_EQ(run.address, kBase + take.expected * kPageBytes) << take.pages;
      EXPECT_EQ(run.scavenged_pages, take.scavenged) << take.pages;
      left &= ~(LowBits(take.pages) << take.expected);
      EXPECT_EQ(cache.count(), PopCount(left));
    }
    const PageBlock block = cache.TakeAll();
    EXPECT_EQ(block.base, kBase);
    EXPECT_EQ(block.free, left);
    EXPECT_EQ(block.scavenged, scavenged & left);
    EXPECT_EQ(cache.count(), 0u);
    EXPECT_EQ(cache.Take(1).address, 0);
  }
}

TEST(PageCacheTest, SpanRecordsComeBackUntouchedButForTheLink) {
  Span records[3] = {};
  for (Span& record : records) record.sweepgen = 7;
  SpanCache cache;
  EXPECT_EQ(cache.Take(), nullptr);
  for (Span& record : records) cache.Give(&record);
  EXPECT_EQ(cache.count(), 3u);
  for (size_t i = 3; i-- > 0;) {
    Span* const span = cache.Take();
    ASSERT_EQ(span, &records[i]);
    EXPECT_EQ(span->sweepgen.load(), 7u);
  }
  EXPECT_EQ(cache.Take(), nullptr);
  EXPECT_EQ(cache.count(), 0u);
}

// ---- Blocks of the page allocator

TEST(PageBlockTest, IsAllThatIsFreeAroundTheLowestFreePage) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AllocateAt(0, 64 + 10);
  fixture.AllocateAt(64 + 12, 20);
  PageBlock block = fixture.pages()->TakeBlock(1, 1);
  EXPECT_EQ(block.base, fixture.Address(64));
  EXPECT_EQ(block.free, ~(LowBits(10) | LowBits(20) << 12));
  EXPECT_EQ(block.scavenged, block.free) << "never used";
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  // The search goes on behind the block, and before it when something becomes
  // free there.
  EXPECT_EQ(fixture.pages()->TakeBlock(1, 1).base, fixture.Address(128));
  EXPECT_EQ(fixture.Allocate(1), 192u);
  fixture.Free(3, 2);
  block = fixture.pages()->TakeBlock(1, 1);
  EXPECT_EQ(block.base, fixture.Address(0));
  EXPECT_EQ(block.free, uint64_t{0b11000});
  EXPECT_EQ(block.scavenged, 0u) << "they were used";
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageBlockTest, ReturnsAsItWas) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  // Used, free and scavenged pages, anyhow.
  for (size_t page = 0; page < 4 * kPagesPerChunk;) {
    const size_t count = random.Between(1, 9);
    if (random.OneIn(2)) fixture.AllocateAt(page, count);
    if (random.OneIn(4)) {
      fixture.AllocateAt(page + count, 1);
      fixture.Free(page + count, 1);
    }
    page += count + 1;
  }
  const size_t free = fixture.pages()->free_pages();
  const size_t committed = fixture.pages()->free_committed_pages();
  std::vector<PageBlock> blocks;
  for (int i = 0; i < 40; i++) {
    blocks.push_back(fixture.pages()->TakeBlock(1, 1));
    ASSERT_NE(blocks.back().free, 0u);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  EXPECT_LT(fixture.pages()->free_pages(), free);
  while (!blocks.empty()) {
    const size_t i = random.Below(blocks.size());
    // In two parts, one after the other.
    PageBlock part = blocks[i];
    const uint64_t some = random.Next();
    part.free &= some;
    part.scavenged &= some;
    fixture.pages()->ReturnBlock(part);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
    fixture.pages()->ReturnBlock(
        {blocks[i].base, blocks[i].free & ~some, blocks[i].scavenged & ~some});
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
    blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(i));
  }
  EXPECT_EQ(fixture.pages()->free_pages(), free);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), committed);
}

TEST(PageBlockTest, ComesFromTheLowestOfManyArenas) {
  PageAllocatorFixture fixture;
  for (const size_t arena : {0, 1, 5, 300, 1025}) fixture.AddFreeArena(arena);
  fixture.AllocateAt(0, 2 * PageAllocatorFixture::kArenaPages);
  for (const size_t arena : {5, 300, 1025}) {
    const size_t first = arena * PageAllocatorFixture::kArenaPages;
    fixture.AllocateAt(first, PageAllocatorFixture::kArenaPages - 70);
    PageBlock block = fixture.pages()->TakeBlock(1, 1);
    EXPECT_EQ(block.base,
              fixture.Address(first + PageAllocatorFixture::kArenaPages - 128));
    EXPECT_EQ(PopCount(block.free), 6u);
    block = fixture.pages()->TakeBlock(1, 1);
    EXPECT_EQ(block.base,
              fixture.Address(first + PageAllocatorFixture::kArenaPages - 64));
    EXPECT_EQ(block.free, kAll);
    ASSERT_NO_FATAL_FAILURE(fixture.Check());
  }
  EXPECT_EQ(fixture.pages()->free_pages(), 0u);
}

TEST(PageBlockTest, HasARunOfTheSizeAskedFor) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AllocateAt(0, 64);
  fixture.Free(10, 4);
  fixture.AllocateAt(64, 60);  // free: 10-13, and from 124 on
  EXPECT_EQ(fixture.pages()->TakeBlock(5, 1).free, 0u) << "across two blocks";
  EXPECT_EQ(fixture.Allocate(5), 124u);
  const PageBlock block = fixture.pages()->TakeBlock(5, 1);
  EXPECT_EQ(block.base, fixture.Address(128));
  EXPECT_EQ(block.free, kAll << 1);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  EXPECT_EQ(fixture.pages()->TakeBlock(2, 5).free, 0u) << "only 4 are free";
  EXPECT_EQ(fixture.Allocate(2), 10u) << "lower pages are still found";
  EXPECT_EQ(fixture.pages()->TakeBlock(2, 1).base, fixture.Address(0));
  EXPECT_EQ(fixture.Allocate(1), 192u);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

TEST(PageBlockTest, IsEmptyWhenNothingIsFree) {
  PageAllocatorFixture fixture;
  EXPECT_EQ(fixture.pages()->TakeBlock(1, 1).free, 0u);
  fixture.AddFreeArena(0);
  fixture.AllocateAt(0, PageAllocatorFixture::kArenaPages);
  const PageBlock none = fixture.pages()->TakeBlock(1, 1);
  EXPECT_EQ(none.free, 0u);
  fixture.pages()->ReturnBlock(none);
  fixture.Free(PageAllocatorFixture::kArenaPages - 1, 1);
  EXPECT_EQ(fixture.pages()->TakeBlock(1, 1).free, uint64_t{1} << 63);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
}

// The pages of a chunk that the heap has not grown into are not free.
TEST(PageBlockTest, EndsWhereTheHeapDoes) {
  PageAllocatorFixture fixture;
  fixture.AddArena(0);
  fixture.Grow(0, 10);
  const PageBlock block = fixture.pages()->TakeBlock(1, 1);
  EXPECT_EQ(block.free, LowBits(10));
  fixture.Grow(10, 100);
  EXPECT_EQ(fixture.Allocate(1), 10u);
  fixture.pages()->ReturnBlock(block);
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  EXPECT_EQ(fixture.Allocate(10), 0u);
}

TEST(PageBlockTest, WhatIsLeftKeepsWhetherItIsScavenged) {
  PageAllocatorFixture fixture;
  fixture.AddFreeArena(0);
  fixture.AllocateAt(0, 8);
  fixture.Free(0, 8);  // committed
  PageCache cache;
  cache.Put(fixture.pages()->TakeBlock(1, 1));
  EXPECT_EQ(cache.Take(12).scavenged_pages, 4u);
  fixture.pages()->ReturnBlock(cache.TakeAll());
  ASSERT_NO_FATAL_FAILURE(fixture.Check());
  EXPECT_EQ(fixture.CountScavenged(0, 64), 52u);
  EXPECT_EQ(fixture.pages()->free_committed_pages(), 0u);
}

}  // namespace
}  // namespace loam
