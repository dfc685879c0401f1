#include "runtime/sweep/active_sweeps.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

TEST(ActiveSweepsTest, NobodyEntersBeforeTheFirstCycle) {
  ActiveSweeps sweeps;
  EXPECT_TRUE(sweeps.is_drained());
  EXPECT_TRUE(sweeps.is_done());
  EXPECT_FALSE(sweeps.TryEnter());
}

TEST(ActiveSweepsTest, DoneIsDrainedWithNobodyInside) {
  ActiveSweeps sweeps;
  sweeps.Begin();
  EXPECT_FALSE(sweeps.is_drained());
  EXPECT_FALSE(sweeps.is_done());
  {
    const ActiveSweep a(&sweeps);
    EXPECT_TRUE(a);
    {
      const ActiveSweep b(&sweeps);
      EXPECT_TRUE(b);
      sweeps.SetDrained();
      EXPECT_FALSE(ActiveSweep(&sweeps));
    }
    EXPECT_TRUE(sweeps.is_drained());
    EXPECT_FALSE(sweeps.is_done()) << "one is still at it";
  }
  EXPECT_TRUE(sweeps.is_done());
}

TEST(ActiveSweepsTest, PagesAreCountedThroughAllCycles) {
  ActiveSweeps sweeps;
  sweeps.Begin();
  {
    ActiveSweep active(&sweeps);
    active.AddSwept(3);
    active.AddSwept(4);
    EXPECT_EQ(sweeps.swept_pages(), 0) << "on leaving";
    sweeps.CountPages(10);
    EXPECT_EQ(sweeps.swept_pages(), 10);
    sweeps.SetDrained();
  }
  EXPECT_EQ(sweeps.swept_pages(), 17);
  EXPECT_TRUE(sweeps.is_done());
  sweeps.Begin();
  EXPECT_EQ(sweeps.swept_pages(), 17);
  // More pages than 47 bits of addresses have.
  sweeps.CountPages(uint64_t{1} << 40);
  EXPECT_EQ(sweeps.swept_pages(), (uint64_t{1} << 40) + 17);
  EXPECT_FALSE(sweeps.is_done());
  EXPECT_TRUE(ActiveSweep(&sweeps));
}

// As many threads as there are bits for: the next one waits for one to leave.
TEST(ActiveSweepsTest, OneTooManyWaits) {
  constexpr int kMost = (1 << 15) - 1;
  ActiveSweeps sweeps;
  sweeps.Begin();
  for (int i = 0; i < kMost; i++) ASSERT_TRUE(sweeps.TryEnter());
  std::atomic<bool> entered{false};
  std::thread other([&] { entered = sweeps.TryEnter(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered);
  sweeps.Leave(5);
  other.join();
  EXPECT_TRUE(entered);
  EXPECT_FALSE(sweeps.is_drained());
  for (int i = 0; i < kMost; i++) sweeps.Leave(0);
  EXPECT_EQ(sweeps.swept_pages(), 5);
  sweeps.SetDrained();
  EXPECT_TRUE(sweeps.is_done());
}

TEST(ActiveSweepsTest, NoCountIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 30000;
  ActiveSweeps sweeps;
  sweeps.Begin();
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; i++) {
        ActiveSweep active(&sweeps);
        active.AddSwept(static_cast<uint64_t>(i % 3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sweeps.swept_pages(), kThreads * kRounds);
  sweeps.SetDrained();
  EXPECT_TRUE(sweeps.is_done());
}

}  // namespace
}  // namespace loam
