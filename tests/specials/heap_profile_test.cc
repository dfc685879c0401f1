// The accounting of the heap profile, cycle by cycle, with made-up call stacks.

#include "runtime/specials/heap_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr ProfiledCell kCell = {nullptr, 64, ProfiledObject::kBytes};

CallStack StackOf(uintptr_t innermost) {
  CallStack stack;
  stack.native_frames = 2;
  stack.words[0] = innermost;
  stack.words[1] = 1;
  return stack;
}

class HeapProfileTest : public testing::Test {
 protected:
  // As a heap does it: marking finds what is dead, and sweeping counts it.
  void Collect() {
    profile_.EndMarking();
    profile_.BeginSweeping();
  }
  ProfileBucket* Allocate(uintptr_t innermost, double objects = 1) {
    ProfileBucket* bucket = profile_.BucketOf(StackOf(innermost), kCell);
    if (bucket != nullptr) profile_.CountAllocated(bucket, objects);
    return bucket;
  }
  // Summed over all buckets.
  ProfileCounts Read(uint64_t moment) {
    std::vector<HeapProfile::Reading> readings(profile_.bucket_count() + 1);
    const size_t count =
        profile_.Read(moment, readings.data(), readings.size());
    EXPECT_EQ(count + 1, readings.size());
    ProfileCounts sum = {};
    for (size_t i = 0; i < count; i++) sum.Add(readings[i].counts);
    return sum;
  }
  // With the sweep of the last marking complete, and while it is under way.
  ProfileCounts ReadSwept() { return Read(profile_.sweeping() + 1); }
  ProfileCounts ReadUnswept() { return Read(profile_.sweeping()); }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  HeapProfile profile_{&persistent_};
};

TEST_F(HeapProfileTest, EqualStacksShareABucket) {
  ProfileBucket* a = Allocate(10);
  EXPECT_EQ(Allocate(10), a);
  EXPECT_NE(Allocate(11), a);
  // The same words as frames of the embedder's are another stack.
  CallStack other = StackOf(10);
  other.embedder_frames = 1;
  other.native_frames = 0;
  EXPECT_NE(profile_.BucketOf(other, kCell), a);
  // Sizes and types have buckets of their own.
  ProfiledCell larger = kCell;
  larger.cell_bytes = 128;
  EXPECT_NE(profile_.BucketOf(StackOf(10), larger), a);
  ProfiledCell slots = kCell;
  slots.object = ProfiledObject::kSlots;
  EXPECT_NE(profile_.BucketOf(StackOf(10), slots), a);
  EXPECT_EQ(profile_.bucket_count(), 5u);
}

TEST_F(HeapProfileTest, BeforeTheFirstCycleEverythingIsTold) {
  Allocate(1, 2.5);
  EXPECT_EQ(ReadSwept().allocated_samples, 1u);
  EXPECT_EQ(ReadSwept().allocated_objects, 2.5);
  EXPECT_EQ(ReadUnswept().allocated_samples, 1u);
}

TEST_F(HeapProfileTest, AnAllocationIsToldWithTheMarkingThatMayFindItDead) {
  Allocate(1);
  Collect();
  Allocate(1);
  EXPECT_EQ(ReadUnswept().allocated_samples, 0u);
  EXPECT_EQ(ReadSwept().allocated_samples, 1u);
  Collect();
  EXPECT_EQ(ReadUnswept().allocated_samples, 1u);
  EXPECT_EQ(ReadSwept().allocated_samples, 2u);
  Collect();
  EXPECT_EQ(ReadUnswept().allocated_samples, 2u);
}

TEST_F(HeapProfileTest, ADeathIsToldWithItsMarking) {
  ProfileBucket* bucket = Allocate(1);
  Collect();
  EXPECT_EQ(ReadUnswept().freed_samples, 0u);
  profile_.CountFreed(bucket, 1);
  // Half of the sweep is no moment: neither is told.
  EXPECT_EQ(ReadUnswept().allocated_samples, 0u);
  EXPECT_EQ(ReadUnswept().freed_samples, 0u);
  EXPECT_EQ(ReadSwept().allocated_samples, 1u);
  EXPECT_EQ(ReadSwept().freed_samples, 1u);
  Collect();
  EXPECT_EQ(ReadUnswept().freed_samples, 1u);
}

TEST_F(HeapProfileTest, ABucketThatHasRestedForManyCyclesIsUpToDate) {
  ProfileBucket* bucket = Allocate(1);
  for (int i = 0; i < 100; i++) Collect();
  EXPECT_EQ(ReadUnswept().allocated_samples, 1u);
  profile_.CountFreed(bucket, 1);
  EXPECT_EQ(ReadUnswept().freed_samples, 0u);
  EXPECT_EQ(ReadSwept().freed_samples, 1u);
}

// What is allocated before the first marking is told before that has ended, not
// when it has, and from the second on again: all of it, or nothing.
TEST_F(HeapProfileTest, AReadingIsOfOneMomentWhileMarkingsEnd) {
  constexpr size_t kBuckets = 2000;
  std::vector<HeapProfile::Reading> readings(kBuckets);
  size_t mixed = 0;
  for (int round = 0; round < 100; round++) {
    HeapProfile profile(&persistent_);
    for (uintptr_t i = 0; i < kBuckets; i++) {
      profile.CountAllocated(profile.BucketOf(StackOf(i), kCell), 1);
    }
    std::atomic<bool> is_over = false;
    std::thread collector([&] {
      for (int i = 0; i < 3; i++) profile.EndMarking();
      is_over = true;
    });
    while (!is_over) {
      profile.Read(0, readings.data(), readings.size());
      size_t told = 0;
      for (const HeapProfile::Reading& reading : readings) {
        told += reading.counts.allocated_samples;
      }
      if (told != 0 && told != kBuckets) mixed++;
    }
    collector.join();
  }
  EXPECT_EQ(mixed, 0u);
}

TEST_F(HeapProfileTest, AStaleMomentIsNotTold) {
  Allocate(1);
  for (int i = 0; i < 3; i++) Collect();
  EXPECT_EQ(Read(0).allocated_samples, 1u) << "what is over is over";
}

TEST_F(HeapProfileTest, WhatIsCountedInHindsightIsToldAsIfItHadBeenAtOnce) {
  ProfileBucket* bucket = Allocate(1);
  Collect();
  profile_.CountFreed(bucket, 1);
  // Two are allocated, and not counted until the marking that finds one dead.
  EXPECT_EQ(ReadSwept().allocated_samples, 1u);
  profile_.EndMarking();
  profile_.CountYoung(bucket, 2.5, /*died=*/true);
  profile_.CountYoung(bucket, 4, /*died=*/false);
  EXPECT_EQ(ReadUnswept().allocated_samples, 1u);
  EXPECT_EQ(ReadUnswept().freed_samples, 1u);
  profile_.BeginSweeping();
  EXPECT_EQ(ReadSwept().allocated_samples, 3u);
  EXPECT_EQ(ReadSwept().allocated_objects, 7.5);
  EXPECT_EQ(ReadSwept().freed_samples, 2u);
  EXPECT_EQ(ReadSwept().freed_objects, 3.5);
}

// Against a model that remembers each object: at any moment, what is told of a
// finished marking is what the model had then.
TEST_F(HeapProfileTest, RandomProgramsAgreeWithAModel) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  struct Object {
    ProfileBucket* bucket;
    double weight;
  };
  std::vector<Object> live, dead;
  double allocated = 0, freed = 0;  // in all
  double allocated_then = 0, freed_then = 0;
  for (int cycle = 0; cycle < 50; cycle++) {
    const size_t more = random.Below(200);
    for (size_t i = 0; i < more; i++) {
      const double weight = 1 + static_cast<double>(random.Below(1000));
      live.push_back({Allocate(random.Below(20), weight), weight});
      allocated += weight;
    }
    // The marking: some are dead, and swept in part before anyone looks.
    Collect();
    const double allocated_before = allocated_then;
    const double freed_before = freed_then;
    for (size_t i = 0; i < live.size();) {
      if (random.Below(3) != 0) {
        i++;
        continue;
      }
      dead.push_back(live[i]);
      live[i] = live.back();
      live.pop_back();
    }
    const double allocated_now = allocated;
    const size_t after = random.Below(50);
    for (size_t i = 0; i < after; i++) {
      live.push_back({Allocate(random.Below(20), 1), 1});
      allocated += 1;
    }
    while (!dead.empty()) {
      if (random.Below(20) == 0) {
        const ProfileCounts told = ReadUnswept();
        ASSERT_EQ(told.allocated_objects, allocated_before);
        ASSERT_EQ(told.freed_objects, freed_before);
      }
      profile_.CountFreed(dead.back().bucket, dead.back().weight);
      freed += dead.back().weight;
      dead.pop_back();
    }
    allocated_then = allocated_now;
    freed_then = freed;
    const ProfileCounts told = ReadSwept();
    ASSERT_EQ(told.allocated_objects, allocated_then) << "cycle " << cycle;
    ASSERT_EQ(told.freed_objects, freed_then) << "cycle " << cycle;
  }
}

TEST_F(HeapProfileTest, StacksThatComeTooLateAreCountedTogether) {
  for (uintptr_t i = 0; i < HeapProfile::kMaxBuckets + 1000; i++) {
    ASSERT_NE(Allocate(i), nullptr);
  }
  EXPECT_EQ(profile_.bucket_count(), HeapProfile::kMaxBuckets + 1);
  EXPECT_EQ(ReadSwept().allocated_samples, HeapProfile::kMaxBuckets + 1000);
  ProfileBucket* late = Allocate(HeapProfile::kMaxBuckets);
  EXPECT_EQ(late->word_count(), 0u);
  EXPECT_EQ(Allocate(5)->word_count(), 2u) << "those of before are still found";
}

TEST_F(HeapProfileTest, OutOfMemoryCountsNothing) {
  constexpr size_t kTaken = 63 << 20;
  ledger_.set_limit(64 << 20);
  ASSERT_TRUE(ledger_.TryCharge(MemoryLedger::Use::kMetadata, kTaken));
  size_t counted = 0;
  for (uintptr_t i = 0; i < 20'000; i++) {
    if (Allocate(i) != nullptr) counted++;
  }
  EXPECT_GT(counted, 1000u);
  EXPECT_LT(counted, 20'000u);
  EXPECT_EQ(ReadSwept().allocated_samples, counted);
  EXPECT_NE(Allocate(1), nullptr) << "a bucket that exists needs no memory";
  ledger_.Refund(MemoryLedger::Use::kMetadata, kTaken);
}

TEST_F(HeapProfileTest, DeepStacksTakeNoMoreMemory) {
  constexpr size_t kSamples = 20'000;
  CallStack deep;
  deep.native_frames = CallStack::kMaxNativeFrames;
  deep.embedder_frames = CallStack::kMaxEmbedderFrames;
  std::fill_n(deep.words, deep.word_count(), 1);
  for (const size_t limit : {UINT64_MAX, uint64_t{64} << 20}) {
    MemoryLedger ledger;
    ledger.set_limit(limit);
    PersistentAllocator persistent(&ledger);
    HeapProfile profile(&persistent);
    for (size_t i = 0; i < kSamples; i++) {
      deep.words[0] = i;
      ProfileBucket* bucket = profile.BucketOf(deep, kCell);
      ASSERT_NE(bucket, nullptr);
      EXPECT_EQ(bucket->word_count() == 0, bucket->native_frames == 0);
      profile.CountAllocated(bucket, 1);
    }
    const size_t bound = std::min(HeapProfile::kMaxBytes, limit / 32);
    EXPECT_LE(ledger.metadata(), bound + bound / 4);
    EXPECT_GE(ledger.metadata(), bound - bound / 4);
    std::vector<HeapProfile::Reading> readings(profile.bucket_count());
    profile.Read(0, readings.data(), readings.size());
    uint64_t counted = 0;
    for (const auto& reading : readings) {
      counted += reading.counts.allocated_samples;
    }
    EXPECT_EQ(counted, kSamples);
    EXPECT_EQ(readings.front().bucket->word_count(), 0u) << "those too many";
    // Without a stack, but of any number of sizes.
    ProfiledCell cell = kCell;
    do {
      cell.cell_bytes += 8192;
      ASSERT_LT(cell.cell_bytes, size_t{1} << 30);
    } while (profile.BucketOf(deep, cell) != nullptr);
    EXPECT_LE(ledger.metadata(), bound + bound / 2);
  }
}

TEST_F(HeapProfileTest, AReadingThatIsTooSmallSaysSo) {
  for (uintptr_t i = 0; i < 10; i++) Allocate(i);
  HeapProfile::Reading readings[4];
  EXPECT_EQ(profile_.Read(0, readings, 4), 10u);
}

}  // namespace
}  // namespace loam
