#include "runtime/sweep/sweep_token.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint32_t kGeneration = 10;

TEST(SweepTokenTest, OnlyUnsweptSpansCanBeAcquired) {
  Span span = {};
  for (const uint32_t sweepgen :
       {0U, BeingSwept(kGeneration), Swept(kGeneration),
        CachedStale(kGeneration), Cached(kGeneration)}) {
    span.sweepgen.store(sweepgen);
    const SweepToken token = SweepToken::TryAcquire(&span, kGeneration);
    EXPECT_FALSE(token) << sweepgen;
    EXPECT_EQ(span.sweepgen.load(), sweepgen) << "must stay as it is";
  }
  span.sweepgen.store(NeedsSweeping(kGeneration));
  SweepToken token = SweepToken::TryAcquire(&span, kGeneration);
  ASSERT_TRUE(token);
  EXPECT_EQ(token.span(), &span);
  EXPECT_EQ(token.generation(), kGeneration);
  EXPECT_EQ(span.sweepgen.load(), BeingSwept(kGeneration));
  EXPECT_FALSE(SweepToken::TryAcquire(&span, kGeneration)) << "taken";
  EXPECT_EQ(token.Publish(), &span);
  EXPECT_FALSE(token);
  EXPECT_EQ(span.sweepgen.load(), Swept(kGeneration));
  EXPECT_FALSE(SweepToken::TryAcquire(&span, kGeneration)) << "swept";
}

TEST(SweepTokenTest, StaleSpansAreTakenByTheirOwner) {
  Span span = {};
  span.sweepgen.store(CachedStale(kGeneration));
  SweepToken token = SweepToken::TakeStale(&span, kGeneration);
  ASSERT_TRUE(token);
  EXPECT_EQ(span.sweepgen.load(), BeingSwept(kGeneration));
  EXPECT_FALSE(SweepToken::TryAcquire(&span, kGeneration));
  token.Publish();
  EXPECT_EQ(span.sweepgen.load(), Swept(kGeneration));
}

TEST(SweepTokenTest, MovingLeavesNothingBehind) {
  Span span = {};
  span.sweepgen.store(NeedsSweeping(kGeneration));
  SweepToken token = SweepToken::TryAcquire(&span, kGeneration);
  SweepToken moved = std::move(token);
  EXPECT_FALSE(token);  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(moved);
  EXPECT_EQ(moved.generation(), kGeneration);
  moved.Publish();
}

#ifndef NDEBUG
TEST(SweepTokenDeathTest, UnsweptSpansMustNotBeForgotten) {
  EXPECT_DEATH(
      {
        Span span = {};
        span.sweepgen.store(NeedsSweeping(kGeneration));
        const SweepToken token = SweepToken::TryAcquire(&span, kGeneration);
      },
      "check failed");
}

TEST(SweepTokenDeathTest, OnlyStaleSpansAreStale) {
  EXPECT_DEATH(
      {
        Span span = {};
        span.sweepgen.store(Cached(kGeneration));
        SweepToken::TakeStale(&span, kGeneration).Publish();
      },
      "check failed");
}
#endif

TEST(SweepTokenTest, OneOfManyThreadsGetsIt) {
  constexpr size_t kSpans = 3000;
  constexpr int kThreads = 4;
  const auto spans = std::make_unique<Span[]>(kSpans);
  std::vector<int> swept(kSpans, 0);  // Written by whoever holds the token.
  for (size_t i = 0; i < kSpans; i++) {
    spans[i].sweepgen.store(NeedsSweeping(kGeneration));
  }
  std::atomic<int> ready{0};
  std::atomic<size_t> acquired{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      ready++;
      while (ready.load() < kThreads) {
      }
      for (size_t i = 0; i < kSpans; i++) {
        SweepToken token = SweepToken::TryAcquire(&spans[i], kGeneration);
        if (!token) continue;
        swept[i]++;
        acquired++;
        token.Publish();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acquired.load(), kSpans);
  for (size_t i = 0; i < kSpans; i++) {
    ASSERT_EQ(swept[i], 1) << i;
    ASSERT_EQ(spans[i].sweepgen.load(), Swept(kGeneration));
  }
}

}  // namespace
}  // namespace loam
