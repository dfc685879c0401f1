#include "runtime/heap/page_chunk.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

PageChunk FreeChunk() {
  PageChunk chunk = {};
  chunk.Summarize();
  return chunk;
}

void Allocate(PageChunk* chunk, size_t first, size_t count) {
  SetBitRange(chunk->allocated, first, first + count);
  chunk->Summarize();
}

void ExpectSummary(const PageChunk& chunk, size_t start, size_t longest,
                   size_t end) {
  EXPECT_EQ(chunk.summary.start, start);
  EXPECT_EQ(chunk.summary.longest, longest);
  EXPECT_EQ(chunk.summary.end, end);
}

TEST(PageChunkTest, ZeroedSummaryMeansFull) {
  PageChunk chunk = {};
  Allocate(&chunk, 0, kPagesPerChunk);
  ExpectSummary(chunk, 0, 0, 0);
  EXPECT_EQ(chunk.FindRun(1), kPagesPerChunk);
}

TEST(PageChunkTest, FreeChunkIsOneRun) {
  const PageChunk chunk = FreeChunk();
  ExpectSummary(chunk, kPagesPerChunk, kPagesPerChunk, kPagesPerChunk);
  for (const size_t pages : {1, 2, 63, 64, 65, 511, 512}) {
    EXPECT_EQ(chunk.FindRun(pages), 0) << pages;
  }
  EXPECT_EQ(chunk.FindRun(513), kPagesPerChunk);
}

TEST(PageChunkTest, CraftedRuns) {
  PageChunk chunk = FreeChunk();
  Allocate(&chunk, 0, 1);
  ExpectSummary(chunk, 0, 511, 511);
  EXPECT_EQ(chunk.FindRun(511), 1);

  chunk = FreeChunk();
  Allocate(&chunk, 511, 1);
  ExpectSummary(chunk, 511, 511, 0);
  EXPECT_EQ(chunk.FindRun(512), kPagesPerChunk);

  chunk = FreeChunk();
  Allocate(&chunk, 10, 1);
  Allocate(&chunk, 500, 5);
  ExpectSummary(chunk, 10, 489, 7);
  EXPECT_EQ(chunk.FindRun(10), 0);
  EXPECT_EQ(chunk.FindRun(11), 11);
  EXPECT_EQ(chunk.FindRun(489), 11);
  EXPECT_EQ(chunk.FindRun(490), kPagesPerChunk);

  // A hole across a word boundary, and one of a single page before it.
  chunk = FreeChunk();
  Allocate(&chunk, 0, kPagesPerChunk);
  ClearBitRange(chunk.allocated, 20, 21);
  ClearBitRange(chunk.allocated, 60, 70);
  chunk.Summarize();
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
    chunk.Summarize();
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

}  // namespace
}  // namespace loam
