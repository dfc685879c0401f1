#include "runtime/heap/memory_ledger.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

using Use = MemoryLedger::Use;

TEST(MemoryLedgerTest, CountsBothUses) {
  MemoryLedger ledger;
  EXPECT_EQ(ledger.committed(), 0);
  EXPECT_EQ(ledger.limit(), UINT64_MAX);
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 100));
  ASSERT_TRUE(ledger.TryCharge(Use::kMetadata, 30));
  EXPECT_EQ(ledger.committed(), 130);
  EXPECT_EQ(ledger.metadata(), 30);
  ledger.Refund(Use::kHeapPages, 60);
  EXPECT_EQ(ledger.committed(), 70);
  EXPECT_EQ(ledger.metadata(), 30);
  ledger.Refund(Use::kMetadata, 30);
  EXPECT_EQ(ledger.committed(), 40);
  EXPECT_EQ(ledger.metadata(), 0);
}

TEST(MemoryLedgerTest, PeakStays) {
  MemoryLedger ledger;
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 100));
  ledger.Refund(Use::kHeapPages, 90);
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 50));
  EXPECT_EQ(ledger.counts().peak_committed, 100);
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 41));
  EXPECT_EQ(ledger.counts().peak_committed, 101);
}

TEST(MemoryLedgerTest, LimitMayBeReachedNotPassed) {
  MemoryLedger ledger;
  ledger.set_limit(100);
  EXPECT_FALSE(ledger.TryCharge(Use::kMetadata, 101));
  EXPECT_TRUE(ledger.TryCharge(Use::kMetadata, 60));
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, 41));
  EXPECT_TRUE(ledger.TryCharge(Use::kHeapPages, 40));
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, 1));
  EXPECT_TRUE(ledger.TryCharge(Use::kHeapPages, 0));
  // Refusals charge nothing.
  EXPECT_EQ(ledger.committed(), 100);
  EXPECT_EQ(ledger.metadata(), 60);
  EXPECT_EQ(ledger.counts().peak_committed, 100);
}

TEST(MemoryLedgerTest, HugeChargesDoNotWrapAround) {
  MemoryLedger ledger;
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 10));
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, SIZE_MAX));
  ledger.set_limit(100);
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, SIZE_MAX - 5));
  EXPECT_EQ(ledger.committed(), 10);
}

TEST(MemoryLedgerTest, LimitBelowWhatIsCommittedStopsGrowth) {
  MemoryLedger ledger;
  ASSERT_TRUE(ledger.TryCharge(Use::kHeapPages, 100));
  ledger.set_limit(50);
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, 1));
  EXPECT_EQ(ledger.committed(), 100);
  ledger.Refund(Use::kHeapPages, 60);
  EXPECT_TRUE(ledger.TryCharge(Use::kHeapPages, 10));
  EXPECT_FALSE(ledger.TryCharge(Use::kHeapPages, 1));
}

TEST(MemoryLedgerDeathTest, RefundOfMoreThanIsCommittedIsFatal) {
  EXPECT_DEATH(
      {
        MemoryLedger ledger;
        (void)ledger.TryCharge(Use::kHeapPages, 10);
        ledger.Refund(Use::kHeapPages, 11);
      },
      "refund of 11 bytes, 10 committed");
}

TEST(MemoryLedgerTest, ConcurrentChargersNeverPassTheLimit) {
  constexpr uint64_t kLimit = 10'000;
  constexpr int kThreads = 4;
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  MemoryLedger ledger;
  ledger.set_limit(kLimit);
  // What the threads hold, counted before it is refunded and after it is
  // charged: never more than the ledger says.
  std::atomic<uint64_t> held{0};
  std::atomic<uint64_t> most{0};
  std::atomic<uint64_t> refused{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      TestRandom random(seed, t);
      const Use use = t % 2 == 0 ? Use::kHeapPages : Use::kMetadata;
      std::vector<uint64_t> mine;
      for (int i = 0; i < 20'000; i++) {
        if (!mine.empty() && random.OneIn(2)) {
          held -= mine.back();
          ledger.Refund(use, mine.back());
          mine.pop_back();
          continue;
        }
        const uint64_t bytes = random.Between(1, kLimit / 2);
        if (!ledger.TryCharge(use, bytes)) {
          refused++;
          continue;
        }
        const uint64_t now = held += bytes;
        uint64_t seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        mine.push_back(bytes);
      }
      for (const uint64_t bytes : mine) {
        held -= bytes;
        ledger.Refund(use, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), kLimit);
  EXPECT_LE(ledger.counts().peak_committed, kLimit);
  EXPECT_GE(ledger.counts().peak_committed, most.load());
  EXPECT_GT(refused.load(), 0) << "the limit was never met";
  EXPECT_EQ(ledger.committed(), 0);
  EXPECT_EQ(ledger.metadata(), 0);
}

}  // namespace
}  // namespace loam
