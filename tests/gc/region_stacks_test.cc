#include "runtime/gc/region_stacks.h"

#include <algorithm>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kMax = size_t{64} << 20;
constexpr uintptr_t kLowest = 0x00c0'0001'2000;
constexpr size_t kRegion = size_t{1} << RegionStacks::kRegionShift;

TEST(RegionStacksTest, TakesNoMemoryOutsideBeginAndEnd) {
  MemoryLedger ledger;
  RegionStacks stacks(&ledger, kMax);
  EXPECT_FALSE(stacks.is_ready());
  ASSERT_TRUE(stacks.Begin(kLowest, kLowest + 3 * kRegion));
  EXPECT_TRUE(stacks.is_ready());
  EXPECT_FALSE(stacks.FindNext());
  ASSERT_TRUE(stacks.Push(kLowest));
  EXPECT_GT(ledger.metadata(), 0);
  ASSERT_TRUE(stacks.FindNext());
  EXPECT_EQ(stacks.Pop(), kLowest);
  stacks.End();
  EXPECT_FALSE(stacks.is_ready());
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(RegionStacksTest, NothingToBeginWith) {
  MemoryLedger ledger;
  RegionStacks stacks(&ledger, kMax);
  EXPECT_FALSE(stacks.Begin(UINTPTR_MAX, 0));
  EXPECT_FALSE(stacks.Begin(kLowest, kLowest));
  EXPECT_EQ(ledger.committed(), 0);
}

// Regions grow with the heap, and lie in one arena each.
TEST(RegionStacksTest, LargeHeaps) {
  MemoryLedger ledger;
  constexpr size_t kMost = (RegionStacks::kMaxRegions << kArenaShift) >> 30;
  for (size_t gigabytes = 1; gigabytes <= kMost; gigabytes *= 2) {
    RegionStacks stacks(&ledger, kMax);
    const uintptr_t highest = kArenaBytes + (gigabytes << 30);
    ASSERT_TRUE(stacks.Begin(kArenaBytes, highest)) << gigabytes;
    EXPECT_EQ(stacks.region_bytes(),
              std::max(kRegion, (gigabytes << 30) / RegionStacks::kMaxRegions));
    ASSERT_TRUE(stacks.Push(highest - 8));
    ASSERT_TRUE(stacks.FindNext());
    EXPECT_EQ(stacks.Pop(), highest - 8);
    stacks.End();
  }
  RegionStacks stacks(&ledger, kMax);
  EXPECT_FALSE(stacks.Begin(0, (kMost << 30) + 1));
  EXPECT_EQ(ledger.committed(), 0);
}

// Regions come in the order of their addresses, round and round.
TEST(RegionStacksTest, RegionsInTurn) {
  MemoryLedger ledger;
  RegionStacks stacks(&ledger, kMax);
  ASSERT_TRUE(stacks.Begin(kLowest, kLowest + 200 * kRegion));
  const uintptr_t first = AlignDown(kLowest, kRegion);
  for (const size_t region : {3, 70, 199}) {
    ASSERT_TRUE(stacks.Push(first + region * kRegion + 8));
  }
  for (const size_t region : {3, 70, 199}) {
    ASSERT_TRUE(stacks.FindNext());
    EXPECT_EQ(stacks.base(), first + region * kRegion);
    EXPECT_EQ(stacks.Pop(), stacks.base() + 8);
    EXPECT_TRUE(stacks.current_is_empty());
    if (region == 199) {
      ASSERT_TRUE(stacks.Push(first + 100 * kRegion));
    }
  }
  ASSERT_TRUE(stacks.FindNext());
  EXPECT_EQ(stacks.base(), first + 100 * kRegion);
  stacks.Pop();
  EXPECT_FALSE(stacks.FindNext());
}

// Against a list of addresses for each region.
TEST(RegionStacksTest, RandomOperations) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  MemoryLedger ledger;
  for (int round = 0; round < 20; round++) {
    const size_t bytes = random.Between(1, 300) * kPageBytes * 16;
    RegionStacks stacks(&ledger, kMax);
    ASSERT_TRUE(stacks.Begin(kLowest, kLowest + bytes));
    RegionStacks other(&ledger, kMax);
    ASSERT_TRUE(other.Begin(kLowest, kLowest + bytes));
    std::map<uintptr_t, std::vector<uintptr_t>> model;
    const auto list = [&]() -> std::vector<uintptr_t>& {
      return model[stacks.base()];
    };
    const auto push = [&] {
      const uintptr_t address = kLowest + random.Below(bytes);
      ASSERT_TRUE(stacks.Push(address));
      model[AlignDown(address, kRegion)].push_back(address);
    };
    for (int step = 0; step < 300; step++) {
      for (size_t n = random.Below(1000); n > 0; n--) push();
      ASSERT_EQ(stacks.current_is_empty(), list().empty());
      ASSERT_EQ(stacks.current_has_much(), list().size() > 254);
      if (random.OneIn(3)) {
        for (size_t n = random.Below(600); n > 0 && !list().empty(); n--) {
          ASSERT_EQ(stacks.Pop(), list().back());
          list().pop_back();
        }
      } else if (random.OneIn(2)) {
        std::vector<uintptr_t> taken;
        stacks.TakeAll(
            [&](size_t offset) { taken.push_back(stacks.base() + offset); });
        std::sort(taken.begin(), taken.end());
        std::sort(list().begin(), list().end());
        ASSERT_EQ(taken, list());
        list().clear();
      } else {
        // To another marker, which works it off.
        RegionStacks::Waiting waiting[8];
        const size_t most = random.Between(1, 8);
        const size_t count = stacks.Take(waiting, most);
        size_t elsewhere = 0;
        for (const auto& [region, words] : model) {
          elsewhere += region != stacks.base() && !words.empty();
        }
        ASSERT_EQ(count, std::min(most, (elsewhere + 1) / 2));
        for (size_t i = 0; i < count; i++) other.Add(waiting[i]);
        for (size_t i = 0; i < count; i++) {
          ASSERT_TRUE(other.FindNext());
          ASSERT_NE(other.base(), stacks.base());
          std::vector<uintptr_t>& words = model[other.base()];
          while (!other.current_is_empty()) {
            ASSERT_EQ(other.Pop(), words.back());
            words.pop_back();
          }
          ASSERT_TRUE(words.empty());
        }
        ASSERT_FALSE(other.FindNext());
      }
      const bool any = std::any_of(model.begin(), model.end(),
                                   [](auto& m) { return !m.second.empty(); });
      ASSERT_EQ(stacks.FindNext(), any);
      ASSERT_EQ(list().empty(), !any);
    }
    while (stacks.FindNext()) stacks.TakeAll([](size_t) {});
    for (RegionStacks* s : {&stacks, &other}) {
      s->Rewind();
      ASSERT_TRUE(s->Push(kLowest));
      ASSERT_TRUE(s->FindNext());
      ASSERT_EQ(s->Pop(), kLowest);
      s->End();
    }
  }
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(RegionStacksTest, RefusesAtItsMaximumAndAtTheLimitOfTheHeap) {
  MemoryLedger ledger;
  for (const bool limited : {false, true}) {
    RegionStacks stacks(&ledger, limited ? kMax : 16 << 10);
    ASSERT_TRUE(stacks.Begin(kLowest, kLowest + kRegion));
    if (limited) ledger.set_limit(ledger.committed() + (64 << 10));
    size_t pushed = 0;
    while (stacks.Push(kLowest + 8 * (pushed % 100))) pushed++;
    EXPECT_EQ(pushed, (limited ? 64 : 16) * 254);
    // What was there still is, and room comes back with it.
    ASSERT_TRUE(stacks.FindNext());
    EXPECT_EQ(stacks.Pop(), kLowest + 8 * ((pushed - 1) % 100));
    EXPECT_TRUE(stacks.Push(kLowest));
    EXPECT_FALSE(stacks.Push(kLowest));
    size_t taken = 0;
    stacks.TakeAll([&](size_t) { taken++; });
    EXPECT_EQ(taken, pushed);
    stacks.End();
  }
  ledger.set_limit(0);
  RegionStacks stacks(&ledger, kMax);
  EXPECT_FALSE(stacks.Begin(kLowest, kLowest + kRegion));
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(RegionStacksDeathTest, EndsWithSomethingWaiting) {
  EXPECT_DEATH(
      {
        MemoryLedger ledger;
        RegionStacks stacks(&ledger, kMax);
        (void)stacks.Begin(kLowest, kLowest + 2 * kRegion);
        (void)stacks.Push(kLowest + kRegion);
        stacks.End();
      },
      "before marking is complete");
}

}  // namespace
}  // namespace loam
