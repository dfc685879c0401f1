#include "runtime/sweep/sweep_pacer.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Pays what is due at `charged`; how much.
uint64_t Pay(SweepPacer* pacer, uint64_t charged) {
  const uint64_t debt = pacer->Debt(charged);
  pacer->CountSwept(debt);
  return debt;
}

TEST(SweepPacerTest, NothingIsDueBeforeTheFirstCycle) {
  SweepPacer pacer;
  EXPECT_EQ(pacer.Debt(UINT64_MAX / 2), 0);
}

TEST(SweepPacerTest, EverythingIsSweptAMebibyteBeforeTheTrigger) {
  SweepPacer pacer;
  pacer.Start(1000, 100 * kMiB, 201 * kMiB);
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

TEST(SweepPacerTest, SmallHeapsKeepAnEighthInReserve) {
  SweepPacer pacer;
  pacer.Start(800, 0, 4096);
  EXPECT_EQ(pacer.Debt(4096 / 8 * 7), 800);
}

TEST(SweepPacerTest, WhatOthersSweptIsNotDue) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 81 * kMiB);
  pacer.CountSwept(500);
  EXPECT_EQ(pacer.Debt(40 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt(60 * kMiB)), 250, 2);
}

TEST(SweepPacerTest, TheBasisMovesWithTheTrigger) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 101 * kMiB);
  EXPECT_EQ(Pay(&pacer, 50 * kMiB), 500);
  // Earlier: the other half within ten mebibytes.
  pacer.MoveBasis(50 * kMiB, 60 * kMiB + kMiB);
  EXPECT_EQ(pacer.Debt(50 * kMiB), 0) << "no jump";
  EXPECT_NEAR(static_cast<double>(Pay(&pacer, 55 * kMiB)), 250, 2);
  // Later.
  pacer.MoveBasis(55 * kMiB, 556 * kMiB);
  EXPECT_EQ(pacer.Debt(55 * kMiB), 0);
  EXPECT_NEAR(static_cast<double>(pacer.Debt(305 * kMiB)), 125, 2);
}

TEST(SweepPacerTest, ATriggerBelowTheHeapMakesEverythingDue) {
  SweepPacer pacer;
  pacer.Start(1000, 10 * kMiB, 101 * kMiB);
  pacer.MoveBasis(20 * kMiB, 15 * kMiB);
  EXPECT_EQ(pacer.Debt(20 * kMiB), 0);
  EXPECT_GE(pacer.Debt(20 * kMiB + 64), 1000);
}

TEST(SweepPacerTest, CellsThatCameBackUnusedAreNoCredit) {
  SweepPacer pacer;
  pacer.Start(1000, 10 * kMiB, 100 * kMiB);
  EXPECT_EQ(pacer.Debt(9 * kMiB), 0);
  EXPECT_EQ(pacer.Debt(0), 0);
}

TEST(SweepPacerTest, NothingIsDueWhenAllIsSwept) {
  SweepPacer pacer;
  pacer.Start(1000, 0, 100 * kMiB);
  pacer.Stop();
  EXPECT_EQ(pacer.Debt(99 * kMiB), 0);
  pacer.MoveBasis(10 * kMiB, 20 * kMiB);
  EXPECT_EQ(pacer.Debt(19 * kMiB), 0) << "a new trigger does not change that";
}

}  // namespace
}  // namespace loam
