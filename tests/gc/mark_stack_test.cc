#include "runtime/gc/mark_stack.h"

#include "gtest/gtest.h"
#include "runtime/heap/heap_constants.h"

namespace loam {
namespace {

constexpr size_t kMax = size_t{64} << 20;
constexpr size_t kFirst = 64 << 10;

TEST(MarkStackTest, TakesNoMemoryBeforeItIsUsed) {
  MemoryLedger ledger;
  MarkStack stack(&ledger, kMax);
  EXPECT_TRUE(stack.empty());
  EXPECT_EQ(ledger.committed(), 0);
  stack.Trim();
}

TEST(MarkStackTest, LastInFirstOutAcrossGrowth) {
  constexpr uintptr_t kWords = 300'000;
  MemoryLedger ledger;
  MarkStack stack(&ledger, kMax);
  for (uintptr_t i = 0; i < kWords; i++) ASSERT_TRUE(stack.Push(i * 8));
  EXPECT_FALSE(stack.empty());
  for (uintptr_t i = kWords; i-- > 0;) ASSERT_EQ(stack.Pop(), i * 8);
  EXPECT_TRUE(stack.empty());
}

TEST(MarkStackTest, GrowsByDoublingAndChargesWhatItHas) {
  MemoryLedger ledger;
  MarkStack stack(&ledger, kMax);
  size_t charged = 0;
  size_t words = 0;
  for (size_t step = 0; step < 5; step++) {
    while (ledger.metadata() == charged) {
      ASSERT_TRUE(stack.Push(1));
      words++;
    }
    EXPECT_EQ(words - 1, charged / sizeof(uintptr_t))
        << "not before it is full";
    charged = ledger.metadata();
    EXPECT_EQ(charged, kFirst << step);
  }
}

// What was given away at the bottom is room for what comes at the top.
TEST(MarkStackTest, WhatIsTakenFromTheBottomMakesRoom) {
  constexpr size_t kWords = kOsPageBytes / sizeof(uintptr_t);
  MemoryLedger ledger;
  MarkStack stack(&ledger, kOsPageBytes);
  uintptr_t pushed = 0;
  uintptr_t taken = 0;
  while (pushed < kWords) ASSERT_TRUE(stack.Push(pushed++));
  for (int round = 0; round < 100; round++) {
    ASSERT_FALSE(stack.Push(0));
    const size_t count = stack.size() / 2 + static_cast<size_t>(round % 3);
    const uintptr_t* oldest = stack.TakeOldest(count);
    stack.ReturnOldest(count);
    ASSERT_EQ(stack.size(), kWords);
    ASSERT_EQ(stack.TakeOldest(count), oldest);
    for (size_t i = 0; i < count; i++) ASSERT_EQ(oldest[i], taken++);
    while (stack.size() < kWords) ASSERT_TRUE(stack.Push(pushed++));
  }
  EXPECT_EQ(ledger.committed(), kOsPageBytes);
  while (!stack.empty()) ASSERT_EQ(stack.Pop(), --pushed);
  EXPECT_EQ(pushed, taken);
  stack.Rewind();
  stack.Trim();
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(MarkStackTest, RefusesAtItsMaximum) {
  for (const size_t max : {kOsPageBytes, size_t{1} << 20}) {
    MemoryLedger ledger;
    MarkStack stack(&ledger, max);
    size_t words = 0;
    while (stack.Push(words)) words++;
    EXPECT_EQ(words, max / sizeof(uintptr_t));
    EXPECT_EQ(ledger.committed(), max);
    EXPECT_FALSE(stack.Push(7)) << "again";
    EXPECT_EQ(stack.Pop(), words - 1) << "nothing was lost";
    EXPECT_TRUE(stack.Push(9));
    EXPECT_FALSE(stack.Push(9));
    EXPECT_EQ(stack.Pop(), 9);
    EXPECT_EQ(stack.Pop(), words - 2);
  }
}

TEST(MarkStackTest, RefusesAtTheLimitOfTheHeap) {
  MemoryLedger ledger;
  ledger.set_limit(3 * kFirst);  // Room for one doubling, not for the next.
  MarkStack stack(&ledger, kMax);
  size_t words = 0;
  while (stack.Push(words)) words++;
  EXPECT_EQ(words, 2 * kFirst / sizeof(uintptr_t));
  EXPECT_LE(ledger.committed(), ledger.limit());
  EXPECT_EQ(stack.Pop(), words - 1);
  ledger.set_limit(UINT64_MAX);
  EXPECT_TRUE(stack.Push(1));
  EXPECT_TRUE(stack.Push(2)) << "grows when it may";
}

TEST(MarkStackTest, NoRoomAtAll) {
  MemoryLedger ledger;
  ledger.set_limit(0);
  MarkStack stack(&ledger, kMax);
  EXPECT_FALSE(stack.Push(1));
  EXPECT_TRUE(stack.empty());
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(MarkStackTest, TrimGivesTheMemoryBack) {
  MemoryLedger ledger;
  MarkStack stack(&ledger, kMax);
  for (int round = 0; round < 3; round++) {
    for (uintptr_t i = 0; i < 50'000; i++) ASSERT_TRUE(stack.Push(i));
    while (!stack.empty()) (void)stack.Pop();
    EXPECT_GT(ledger.committed(), 0);
    stack.Trim();
    EXPECT_EQ(ledger.committed(), 0);
    EXPECT_TRUE(stack.empty());
  }
}

TEST(MarkStackTest, EndsWithWordsOnIt) {
  MemoryLedger ledger;
  {
    MarkStack stack(&ledger, kMax);
    ASSERT_TRUE(stack.Push(1));
  }
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(MarkStackDeathTest, TrimOfANonEmptyStackIsFatal) {
  EXPECT_DEATH(
      {
        MemoryLedger ledger;
        MarkStack stack(&ledger, kMax);
        (void)stack.Push(1);
        stack.Trim();
      },
      "trimmed before marking is complete");
}

}  // namespace
}  // namespace loam
