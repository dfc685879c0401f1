#include "runtime/sweep/sweep_pacer.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A pacer and what has been swept.
class TestPacer {
 public:
  void Start(uint64_t pages, uint64_t charged, uint64_t trigger,
             uint32_t mutators) {
    pacer_.Start(pages, swept_, charged, trigger, mutators);
  }
  void MoveBasis(uint64_t charged, uint64_t trigger) {
    pacer_.MoveBasis(swept_, charged, trigger);
  }
  void Stop() { pacer_.Stop(); }
  uint64_t Debt(uint64_t charged) const { return pacer_.Debt(swept_, charged); }
  void Sweep(uint64_t pages) { swept_ += pages; }
  // Pays what is due at `charged`; how much.
  uint64_t Pay(uint64_t charged) {
    const uint64_t debt = Debt(charged);
    Sweep(debt);
    return debt;
  }

 private:
  SweepPacer pacer_;
  uint64_t swept_ = 12345;  // in the cycles before
};

TEST(SweepPacerTest, NothingIsDueBeforeTheFirstCycle) {
  TestPacer pacer;
  EXPECT_EQ(pacer.Debt(UINT64_MAX / 2), 0);
}

TEST(SweepPacerTest, EverythingIsSweptBeforeTheTrigger) {
  TestPacer pacer;
  // A sixty-fourth of the way: 1.6 MiB.
  pacer.Start(1000, 100 * kMiB, 100 * kMiB + 6400 * kMiB / 63, 1);
  EXPECT_EQ(pacer.Debt(100 * kMiB), 0);
  uint64_t swept = 0;
  for (uint64_t charged = 100 * kMiB; charged < 200 * kMiB; charged += kMiB) {
    // In proportion: ten pages for each of the hundred mebibytes.
    EXPECT_NEAR(static_cast<double>(swept),
                static_cast<double>((charged - 100 * kMiB) / kMiB * 10), 10);
    swept += pacer.Pay(charged);
  }
  swept += pacer.Pay(200 * kMiB);
  EXPECT_EQ(swept, 1000);
}

TEST(SweepPacerTest, EachFurtherMutatorIsAReserve) {
  TestPacer pacer;
  pacer.Start(800, 0, 64 * kMiB, 1);
  EXPECT_EQ(pacer.Debt(63 * kMiB), 800);
  EXPECT_LT(pacer.Debt(62 * kMiB), 800);
  pacer.Start(800, 0, 64 * kMiB, 9);
  EXPECT_EQ(pacer.Debt(62 * kMiB), 800);
  EXPECT_LT(pacer.Debt(61 * kMiB), 800);
  // An eighth of the way at most.
  pacer.Start(800, 0, 8 * kMiB, 100);
  EXPECT_EQ(pacer.Debt(7 * kMiB), 800);
  EXPECT_LT(pacer.Debt(6 * kMiB), 800);
}

TEST(SweepPacerTest, WhatOthersSweptIsNotDue) {
  TestPacer pacer;
  pacer.Start(1000, 0, 64 * kMiB, 1);
  pacer.Sweep(500);
  EXPECT_EQ(pacer.Debt(31 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt(47 * kMiB)), 246, 2);
}

TEST(SweepPacerTest, TheBasisMovesWithTheTrigger) {
  TestPacer pacer;
  pacer.Start(1000, 0, 128 * kMiB, 1);
  EXPECT_EQ(pacer.Pay(63 * kMiB), 500);
  // Earlier: the other half within 63 of 64 KiB.
  pacer.MoveBasis(63 * kMiB, 63 * kMiB + (64 << 10));
  EXPECT_EQ(pacer.Debt(63 * kMiB), 0) << "no jump";
  EXPECT_EQ(pacer.Pay(63 * kMiB + 31 * 1024 + 512), 250);
  // Later.
  pacer.MoveBasis(64 * kMiB, 576 * kMiB);
  EXPECT_EQ(pacer.Debt(64 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt((64 + 252) * kMiB)), 125, 2);
}

TEST(SweepPacerTest, ATriggerBelowTheHeapMakesEverythingDue) {
  TestPacer pacer;
  pacer.Start(1000, 10 * kMiB, 101 * kMiB, 1);
  pacer.MoveBasis(20 * kMiB, 15 * kMiB);
  EXPECT_EQ(pacer.Debt(20 * kMiB), 0);
  EXPECT_GE(pacer.Debt(20 * kMiB + 64), 1000);
}

TEST(SweepPacerTest, CellsThatCameBackUnusedAreNoCredit) {
  TestPacer pacer;
  pacer.Start(1000, 10 * kMiB, 100 * kMiB, 1);
  EXPECT_EQ(pacer.Debt(9 * kMiB), 0);
  EXPECT_EQ(pacer.Debt(0), 0);
}

TEST(SweepPacerTest, NothingIsDueWhenAllIsSwept) {
  TestPacer pacer;
  pacer.Start(1000, 0, 100 * kMiB, 1);
  pacer.Stop();
  EXPECT_EQ(pacer.Debt(99 * kMiB), 0);
  pacer.MoveBasis(10 * kMiB, 20 * kMiB);
  EXPECT_EQ(pacer.Debt(19 * kMiB), 0) << "a new trigger does not change that";
}

}  // namespace
}  // namespace loam
