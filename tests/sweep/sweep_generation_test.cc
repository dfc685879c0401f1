#include "runtime/sweep/sweep_generation.h"

#include <array>

#include "gtest/gtest.h"

namespace loam {
namespace {

// Some generations, and those next to where 32 bits wrap around.
constexpr std::array<uint32_t, 6> kGenerations = {
    kFirstGeneration, 6, 100, UINT32_MAX - 3, UINT32_MAX - 1, 0};

TEST(SweepGenerationTest, TheFiveRelations) {
  for (const uint32_t h : kGenerations) {
    SCOPED_TRACE(h);
    EXPECT_EQ(NeedsSweeping(h), h - 2);
    EXPECT_EQ(BeingSwept(h), h - 1);
    EXPECT_EQ(Swept(h), h);
    EXPECT_EQ(CachedStale(h), h + 1);
    EXPECT_EQ(Cached(h), h + 3);
    EXPECT_EQ(SweepStateOf(NeedsSweeping(h), h), SweepState::kNeedsSweeping);
    EXPECT_EQ(SweepStateOf(BeingSwept(h), h), SweepState::kBeingSwept);
    EXPECT_EQ(SweepStateOf(Swept(h), h), SweepState::kSwept);
    EXPECT_EQ(SweepStateOf(CachedStale(h), h), SweepState::kCachedStale);
    EXPECT_EQ(SweepStateOf(Cached(h), h), SweepState::kCached);
  }
}

TEST(SweepGenerationTest, EverythingElseIsInvalid) {
  for (const uint32_t h : kGenerations) {
    for (const int offset : {-100, -4, -3, 2, 4, 5, 6, 100}) {
      EXPECT_EQ(SweepStateOf(h + static_cast<uint32_t>(offset), h),
                SweepState::kInvalid)
          << h << " " << offset;
    }
  }
}

// Between cycles a span is swept, or cached and swept: nothing else may be left
// when the generation rises.
TEST(SweepGenerationTest, TheStepMapsTheRelations) {
  for (const uint32_t h : kGenerations) {
    SCOPED_TRACE(h);
    const uint32_t next = h + kGenerationStep;
    EXPECT_EQ(SweepStateOf(Swept(h), next), SweepState::kNeedsSweeping);
    EXPECT_EQ(SweepStateOf(Cached(h), next), SweepState::kCachedStale);
    EXPECT_EQ(SweepStateOf(NeedsSweeping(h), next), SweepState::kInvalid);
    EXPECT_EQ(SweepStateOf(BeingSwept(h), next), SweepState::kInvalid);
  }
}

TEST(SweepGenerationTest, ZeroedRecordsCannotBeAcquired) {
  EXPECT_EQ(SweepStateOf(0, kFirstGeneration), SweepState::kInvalid);
}

}  // namespace
}  // namespace loam
