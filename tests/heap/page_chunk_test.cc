#include "runtime/heap/page_chunk.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

void Allocate(PageChunk* chunk, size_t first, size_t count) {
  SetBitRange(chunk->allocated, first, first + count);
}

void ExpectSummary(const PageChunk& chunk, size_t start, size_t longest,
                   size_t end) {
  const PageSummary summary = chunk.Summarize();
  EXPECT_EQ(summary.start(), start);
  EXPECT_EQ(summary.longest(), longest);
  EXPECT_EQ(summary.end(), end);
}

TEST(PageChunkTest, AFullChunkHasAnEmptySummary) {
  PageChunk chunk = {};
  Allocate(&chunk, 0, kPagesPerChunk);
  ExpectSummary(chunk, 0, 0, 0);
  EXPECT_TRUE(chunk.Summarize().is_full());
  EXPECT_EQ(chunk.FindRun(1), kPagesPerChunk);
}

TEST(PageChunkTest, FreeChunkIsOneRun) {
  const PageChunk chunk = {};
  ExpectSummary(chunk, kPagesPerChunk, kPagesPerChunk, kPagesPerChunk);
  for (const size_t pages : {1, 2, 63, 64, 65, 511, 512}) {
    EXPECT_EQ(chunk.FindRun(pages), 0) << pages;
  }
  EXPECT_EQ(chunk.FindRun(513), kPagesPerChunk);
}

TEST(PageChunkTest, CraftedRuns) {
  PageChunk chunk = {};
  Allocate(&chunk, 0, 1);
  ExpectSummary(chunk, 0, 511, 511);
  EXPECT_EQ(chunk.FindRun(511), 1);

  chunk = {};
  Allocate(&chunk, 511, 1);
  ExpectSummary(chunk, 511, 511, 0);
  EXPECT_EQ(chunk.FindRun(512), kPagesPerChunk);

  chunk = {};
  Allocate(&chunk, 10, 1);
  Allocate(&chunk, 500, 5);
  ExpectSummary(chunk, 10, 489, 7);
  EXPECT_EQ(chunk.FindRun(10), 0);
  EXPECT_EQ(chunk.FindRun(11), 11);
  EXPECT_EQ(chunk.FindRun(489), 11);
  EXPECT_EQ(chunk.FindRun(490), kPagesPerChunk);

  // A hole across a word boundary, and one of a single page before it.
  chunk = {};
  Allocate(&chunk, 0, kPagesPerChunk);
  ClearBitRange(chunk.allocated, 20, 21);
  ClearBitRange(chunk.allocated, 60, 70);
  ExpectSummary(chunk, 0, 10, 0);
  EXPECT_EQ(chunk.FindRun(1), 20);
  EXPECT_EQ(chunk.FindRun(2), 60);
  EXPECT_EQ(chunk.FindRun(10), 60);
}

// Page by page.
struct SlowSummary {
  size_t start = 0;
  size_t longest = 0;
  size_t end = 0;
};
SlowSummary SlowSummarize(const PageChunk& chunk) {
  SlowSummary summary;
  size_t run = 0;
  bool at_start = true;
  for (size_t p = 0; p < kPagesPerChunk; p++) {
    if (TestBit(chunk.allocated, p)) {
      at_start = false;
      run = 0;
    } else {
      run++;
      if (at_start) summary.start = run;
      summary.longest = std::max(summary.longest, run);
    }
  }
  summary.end = run;
  return summary;
}
size_t SlowFindRun(const PageChunk& chunk, size_t pages) {
  for (size_t p = 0; p + pages <= kPagesPerChunk; p++) {
    size_t run = 0;
    while (run < pages && !TestBit(chunk.allocated, p + run)) run++;
    if (run == pages) return p;
  }
  return kPagesPerChunk;
}

TEST(PageChunkTest, RandomBitmapsAgreeWithPageByPage) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 2000 && !testing::Test::HasFailure(); round++) {
    PageChunk chunk = {};
    const size_t runs = random.Below(40);
    for (size_t i = 0; i < runs; i++) {
      const size_t first = random.Below(kPagesPerChunk);
      const size_t count =
          random.Below(1 + std::min<size_t>(kPagesPerChunk - first,
                                            size_t{1} << random.Below(9)));
      SetBitRange(chunk.allocated, first, first + count);
    }
    const SlowSummary slow = SlowSummarize(chunk);
    ExpectSummary(chunk, slow.start, slow.longest, slow.end);
    for (int i = 0; i < 8; i++) {
      const size_t pages = random.Between(1, i < 4 ? 20 : kPagesPerChunk);
      EXPECT_EQ(chunk.FindRun(pages), SlowFindRun(chunk, pages)) << pages;
    }
    if (slow.longest > 0) {
      EXPECT_EQ(chunk.FindRun(slow.longest), SlowFindRun(chunk, slow.longest));
    }
  }
}

// ---- What may be scavenged
// ---------------------------------------------------

struct Scavengable {
  const char* name;
  std::vector<PageChunk::Pages> used;       // the rest is free
  std::vector<PageChunk::Pages> scavenged;  // and the rest committed
  size_t limit;
  size_t max_pages;
  PageChunk::Pages expected;
};
const Scavengable kScavengable[] = {
    {"Nothing", {{0, 512}}, {}, 512, 64, {0, 0}},
    {"AllGivenBack", {}, {{0, 512}}, 512, 64, {0, 0}},
    {"TheUpperEnd", {{0, 300}}, {}, 512, 64, {448, 512}},
    {"BelowTheLimit", {{0, 100}}, {}, 200, 64, {136, 200}},
    {"BelowALimitInsideAWord", {{0, 100}}, {}, 203, 7, {196, 203}},
    {"TheHighestRun", {{0, 100}, {110, 512}}, {}, 512, 64, {100, 110}},
    {"TheHighestOfTwo", {{0, 9}, {12, 20}, {25, 512}}, {}, 512, 64, {20, 25}},
    {"TheLowerOfTwo", {{0, 9}, {12, 20}, {25, 512}}, {}, 20, 64, {9, 12}},
    {"OnePage", {{0, 300}, {301, 512}}, {}, 512, 1, {300, 301}},
    {"AboveWhatIsGivenBack", {{0, 300}}, {{300, 400}}, 512, 256, {400, 512}},
    {"BelowWhatIsGivenBack", {{0, 300}}, {{400, 512}}, 512, 256, {300, 400}},
    {"AcrossWords", {{0, 60}, {70, 512}}, {}, 512, 64, {60, 70}},
    // A huge page is 256 pages.
    {"AHugePageIsNotCut", {}, {}, 256, 64, {0, 256}},
    {"TheUpperHugePageIsNotCut", {{0, 256}}, {}, 512, 64, {256, 512}},
    {"AHugePageInUseMayBeCut", {{0, 257}}, {}, 512, 64, {448, 512}},
    {"AHugePageCutAtItsTop", {}, {{500, 512}}, 512, 64, {436, 500}},
    {"AHugePageAndSome", {}, {}, 300, 64, {0, 300}},
    {"WhatIsLeftOfAHugePage", {{0, 10}}, {}, 300, 64, {236, 300}},
};

TEST(PageChunkTest, FindsWhatMayBeScavenged) {
  for (const Scavengable& c : kScavengable) {
    SCOPED_TRACE(c.name);
    PageChunk chunk = {};
    for (const auto& [first, end] : c.used) {
      SetBitRange(chunk.allocated, first, end);
    }
    for (const auto& [first, end] : c.scavenged) {
      SetBitRange(chunk.scavenged, first, end);
    }
    const PageChunk::Pages found = chunk.FindScavengable(c.limit, c.max_pages);
    EXPECT_EQ(found.first, c.expected.first);
    EXPECT_EQ(found.end, c.expected.end);
  }
}

// Runs come and go: the summary that is carried along is the one made anew.
TEST(PageChunkTest, SummariesFollowChanges) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  PageChunk chunk = {};
  PageSummary summary = chunk.Summarize();
  for (int i = 0; i < 20000; i++) {
    const size_t first = random.Below(kPagesPerChunk);
    const size_t most =
        std::min<size_t>(kPagesPerChunk - first, size_t{1} << random.Below(9));
    const bool frees = TestBit(chunk.allocated, first);
    const size_t same =
        frees ? FindFirstClear(chunk.allocated, first, first + most)
              : FindFirstSet(chunk.allocated, first, first + most);
    const size_t end = random.Between(first + 1, same);
    if (frees) {
      ClearBitRange(chunk.allocated, first, end);
      summary = chunk.SummaryAfterFree(summary, first, end);
    } else {
      SetBitRange(chunk.allocated, first, end);
      summary = chunk.SummaryAfterAllocation(summary, first, end);
    }
    ASSERT_EQ(summary, chunk.Summarize()) << i;
  }
}

}  // namespace
}  // namespace loam
