#include "runtime/sweep/sweep_pacer.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Pays what is due at `charged`; how much.
uint64_t Pay(SweepPacer* pacer, uint64_t charged) {
  const uint64_t debt = pacer->Debt(charged);
  pacer->CountSwept(1, debt);
  return debt;
}

TEST(SweepPacerTest, NothingIsDueBeforeTheFirstCycle) {
  SweepPacer pacer;
  EXPECT_EQ(pacer.Debt(UINT64_MAX / 2), 0);
}

TEST(SweepPacerTest, EverythingIsSweptBeforeTheTrigger) {
  SweepPacer pacer;
  // A sixty-fourth of the way: 1.6 MiB.
  pacer.Start(1000, 100 * kMiB, 100 * kMiB + 6400 * kMiB / 63, 1);
  EXPECT_EQ(pacer.Debt(100 * kMiB), 0);
  uint64_t swept = 0;
  for (uint64_t charged = 100 * kMiB; charged < 200 * kMiB; charged += kMiB) {
    // In proportion: ten pages for each of the hundred mebibytes.
    EXPECT_NEAR(static_cast<double>(swept),
                static_cast<double>((charged - 100 * kMiB) / kMiB * 10), 10);
    swept += Pay(&pacer, charged);
  }
  swept += Pay(&pacer, 200 * kMiB);
  EXPECT_EQ(swept, 1000);
}

TEST(SweepPacerTest, EachFurtherMutatorIsAReserve) {
  SweepPacer pacer;
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
  SweepPacer pacer;
  pacer.Start(1000, 0, 64 * kMiB, 1);
  pacer.CountSwept(1, 500);
  EXPECT_EQ(pacer.Debt(31 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt(47 * kMiB)), 246, 2);
}

TEST(SweepPacerTest, TheBasisMovesWithTheTrigger) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 128 * kMiB, 1);
  EXPECT_EQ(Pay(&pacer, 63 * kMiB), 500);
  // Earlier: the other half within 63 of 64 KiB.
  pacer.MoveBasis(63 * kMiB, 63 * kMiB + (64 << 10));
  EXPECT_EQ(pacer.Debt(63 * kMiB), 0) << "no jump";
  EXPECT_EQ(Pay(&pacer, 63 * kMiB + 31 * 1024 + 512), 250);
  // Later.
  pacer.MoveBasis(64 * kMiB, 576 * kMiB);
  EXPECT_EQ(pacer.Debt(64 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt((64 + 252) * kMiB)), 125, 2);
}

TEST(SweepPacerTest, ATriggerBelowTheHeapMakesEverythingDue) {
  SweepPacer pacer;
  pacer.Start(1000, 10 * kMiB, 101 * kMiB, 1);
  pacer.MoveBasis(20 * kMiB, 15 * kMiB);
  EXPECT_EQ(pacer.Debt(20 * kMiB), 0);
  EXPECT_GE(pacer.Debt(20 * kMiB + 64), 1000);
}

TEST(SweepPacerTest, CellsThatCameBackUnusedAreNoCredit) {
  SweepPacer pacer;
  pacer.Start(1000, 10 * kMiB, 100 * kMiB, 1);
  EXPECT_EQ(pacer.Debt(9 * kMiB), 0);
  EXPECT_EQ(pacer.Debt(0), 0);
}

TEST(SweepPacerTest, NothingIsDueWhenAllIsSwept) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 100 * kMiB, 1);
  pacer.Stop();
  EXPECT_EQ(pacer.Debt(99 * kMiB), 0);
  pacer.MoveBasis(10 * kMiB, 20 * kMiB);
  EXPECT_EQ(pacer.Debt(19 * kMiB), 0) << "a new trigger does not change that";
}

TEST(SweepPacerTest, NothingIsDueInANewGeneration) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 100 * kMiB, 1);
  pacer.CountSwept(1, 600);
  pacer.NextGeneration();
  EXPECT_EQ(pacer.Debt(99 * kMiB), 0);
  pacer.Start(1000, 0, 64 * kMiB, 1);
  EXPECT_EQ(pacer.Debt(63 * kMiB), 1000)
      << "what was swept before is no credit";
}

TEST(SweepPacerTest, SpansAreCountedThroughAllGenerations) {
  SweepPacer pacer;
  EXPECT_EQ(pacer.swept_spans(), 0);
  pacer.CountSwept(3, (uint64_t{1} << 34) - 1);
  EXPECT_EQ(pacer.swept_spans(), 3) << "as many pages as there can be";
  pacer.NextGeneration();
  EXPECT_EQ(pacer.swept_spans(), 3);
  pacer.CountSwept(32, 64);
  EXPECT_EQ(pacer.swept_spans(), 35);
}

}  // namespace
}  // namespace loam
