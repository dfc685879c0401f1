#include "runtime/heap/metadata_allocator.h"

#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

struct Region {
  uintptr_t start;
  uintptr_t end;
};

bool Overlap(const Region& a, const Region& b) {
  return a.start < b.end && b.start < a.end;
}

bool IsZero(const void* memory, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < bytes; i++) {
    if (at[i] != 0) return false;
  }
  return true;
}

TEST(PersistentAllocatorTest, AlignedZeroedAndDisjoint) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  MemoryLedger ledger;
  PersistentAllocator allocator(&ledger);
  std::vector<Region> regions;
  for (int i = 0; i < 600; i++) {
    const size_t alignment = size_t{1} << random.Below(13);  // up to a page
    const size_t bytes =
        random.OneIn(20) ? random.Between(1, 100'000) : random.Between(1, 500);
    void* memory = allocator.Allocate(bytes, alignment);
    ASSERT_NE(memory, nullptr);
    const auto address = reinterpret_cast<uintptr_t>(memory);
    EXPECT_EQ(address % alignment, 0);
    EXPECT_TRUE(IsZero(memory, bytes));
    memset(memory, 0xff, bytes);
    const Region region = {address, address + bytes};
    for (const Region& other : regions) ASSERT_FALSE(Overlap(region, other));
    regions.push_back(region);
  }
}

TEST(PersistentAllocatorTest, EverythingIsChargedAndRefundedWithTheHeap) {
  MemoryLedger ledger;
  {
    PersistentAllocator allocator(&ledger);
    EXPECT_EQ(ledger.committed(), 0) << "nothing before the first use";
    size_t total = 0;
    for (size_t bytes = 1; bytes < 300'000; bytes = bytes * 3 + 1) {
      ASSERT_NE(allocator.Allocate(bytes, 8), nullptr);
      total += bytes;
      EXPECT_GE(ledger.metadata(), total);
    }
    EXPECT_EQ(ledger.metadata(), ledger.committed());
  }
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(PersistentAllocatorTest, LargeRequestsLeaveTheCurrentBlockInUse) {
  MemoryLedger ledger;
  PersistentAllocator allocator(&ledger);
  const auto before = reinterpret_cast<uintptr_t>(allocator.Allocate(16, 8));
  ASSERT_NE(allocator.Allocate(1 << 20, 8), nullptr);
  const auto after = reinterpret_cast<uintptr_t>(allocator.Allocate(16, 8));
  EXPECT_EQ(after, before + 16);
}

TEST(PersistentAllocatorTest, NullWhenTheLimitRefuses) {
  MemoryLedger ledger;
  ledger.set_limit(100 << 10);
  PersistentAllocator allocator(&ledger);
  EXPECT_EQ(allocator.Allocate(1 << 20, 8), nullptr);
  EXPECT_EQ(ledger.committed(), 0);
  int allocated = 0;
  while (allocator.Allocate(1024, 8) != nullptr) allocated++;
  EXPECT_GT(allocated, 50);
  EXPECT_LE(ledger.committed(), 100 << 10);
  ledger.set_limit(1 << 20);
  EXPECT_NE(allocator.Allocate(1024, 8), nullptr) << "goes on when it may";
}

struct Record {
  uint64_t link;
  uint64_t content[5];
};

TEST(FixedPoolTest, RecordsAreDistinctAndZeroAtFirst) {
  MemoryLedger ledger;
  PersistentAllocator persistent(&ledger);
  FixedPool<Record> pool(&persistent);
  std::set<Record*> taken;
  for (int i = 0; i < 1000; i++) {
    Record* record = pool.Take();
    ASSERT_NE(record, nullptr);
    // The first word is the link of the free list.
    EXPECT_TRUE(IsZero(record->content, sizeof(record->content)));
    EXPECT_TRUE(taken.insert(record).second);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(record) % alignof(Record), 0);
    memset(record, 0xee, sizeof(*record));
  }
  EXPECT_EQ(pool.in_use(), 1000);
}

TEST(FixedPoolTest, ReuseDoesNotZero) {
  MemoryLedger ledger;
  PersistentAllocator persistent(&ledger);
  FixedPool<Record> pool(&persistent);
  Record* record = pool.Take();
  ASSERT_NE(record, nullptr);
  for (uint64_t& word : record->content) word = 0x1234;
  pool.Give(record);
  EXPECT_EQ(pool.in_use(), 0);
  ASSERT_EQ(pool.Take(), record) << "last given, first taken";
  for (const uint64_t word : record->content) EXPECT_EQ(word, 0x1234);
}

TEST(FixedPoolTest, GivenRecordsAreTakenBeforeNewMemory) {
  MemoryLedger ledger;
  PersistentAllocator persistent(&ledger);
  FixedPool<Record> pool(&persistent);
  std::vector<Record*> records;
  records.reserve(5000);
  for (int i = 0; i < 5000; i++) records.push_back(pool.Take());
  const uint64_t committed = ledger.committed();
  for (int round = 0; round < 10; round++) {
    for (Record* record : records) pool.Give(record);
    std::set<Record*> again;
    for (size_t i = 0; i < records.size(); i++) again.insert(pool.Take());
    EXPECT_EQ(again, std::set<Record*>(records.begin(), records.end()));
  }
  EXPECT_EQ(ledger.committed(), committed);
}

TEST(FixedPoolTest, NullWhenTheLimitRefuses) {
  MemoryLedger ledger;
  ledger.set_limit(128 << 10);
  PersistentAllocator persistent(&ledger);
  FixedPool<Record> pool(&persistent);
  size_t taken = 0;
  Record* last = nullptr;
  while (Record* record = pool.Take()) {
    last = record;
    taken++;
  }
  EXPECT_GT(taken, 1000);
  EXPECT_EQ(pool.in_use(), taken);
  pool.Give(last);
  EXPECT_EQ(pool.Take(), last);
}

TEST(SparseTableTest, ReadsAsZeroBeforeItIsCommitted) {
  constexpr size_t kEntries = 1 << 20;
  MemoryLedger ledger;
  SparseTable<uint64_t> table;
  ASSERT_TRUE(table.Reserve(&ledger, kEntries));
  for (size_t i = 0; i < kEntries; i += 511) EXPECT_EQ(table.at(i), 0);
  EXPECT_LE(ledger.committed(), 2 * kOsPageBytes) << "only the bookkeeping";
  table.Release();
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(SparseTableTest, ChargesEachGranuleOnce) {
  constexpr size_t kPerGranule = kOsPageBytes / sizeof(uint64_t);
  MemoryLedger ledger;
  SparseTable<uint64_t> table;
  ASSERT_TRUE(table.Reserve(&ledger, 1000 * kPerGranule));
  const uint64_t before = ledger.metadata();
  const auto charged = [&] {
    return (ledger.metadata() - before) / kOsPageBytes;
  };
  uint64_t* entry = table.EnsureCommitted(3 * kPerGranule);
  ASSERT_EQ(entry, &table.at(3 * kPerGranule));
  *entry = 77;
  EXPECT_EQ(charged(), 1);
  EXPECT_NE(table.EnsureCommitted(4 * kPerGranule - 1), nullptr);
  EXPECT_EQ(charged(), 1);
  EXPECT_NE(table.EnsureCommitted(4 * kPerGranule), nullptr);
  EXPECT_EQ(charged(), 2);
  EXPECT_NE(table.EnsureCommitted(999 * kPerGranule), nullptr);
  EXPECT_EQ(charged(), 3);
  EXPECT_EQ(table.at(3 * kPerGranule), 77);
  table.Release();
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(SparseTableTest, EntriesThatStraddleGranulesCommitBoth) {
  struct Odd {
    char bytes[3000];
  };
  MemoryLedger ledger;
  SparseTable<Odd> table;
  ASSERT_TRUE(table.Reserve(&ledger, 10));
  const uint64_t before = ledger.metadata();
  ASSERT_NE(table.EnsureCommitted(1), nullptr);  // bytes 3000 to 5999
  EXPECT_EQ(ledger.metadata() - before, 2 * kOsPageBytes);
  table.Release();
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(SparseTableTest, RefusalLeavesItUsable) {
  MemoryLedger ledger;
  SparseTable<uint64_t> table;
  ASSERT_TRUE(table.Reserve(&ledger, 1 << 20));
  ledger.set_limit(ledger.committed() + kOsPageBytes);
  EXPECT_NE(table.EnsureCommitted(0), nullptr);
  EXPECT_EQ(table.EnsureCommitted(1 << 19), nullptr);
  EXPECT_NE(table.EnsureCommitted(1), nullptr) << "committed already";
  ledger.set_limit(UINT64_MAX);
  EXPECT_NE(table.EnsureCommitted(1 << 19), nullptr);
  table.Release();
  EXPECT_EQ(ledger.committed(), 0);
}

TEST(SparseTableTest, ReserveThatIsRefusedChargesNothing) {
  MemoryLedger ledger;
  ledger.set_limit(100);
  SparseTable<uint64_t> table;
  EXPECT_FALSE(table.Reserve(&ledger, 1 << 20));
  EXPECT_EQ(ledger.committed(), 0);
  table.Release();  // Harmless.
}

TEST(SparseTableTest, ConcurrentCommitsChargeEachGranuleOnce) {
  constexpr size_t kPerGranule = kOsPageBytes / sizeof(uint64_t);
  constexpr size_t kGranules = 300;
  constexpr size_t kThreads = 4;
  MemoryLedger ledger;
  SparseTable<uint64_t> table;
  ASSERT_TRUE(table.Reserve(&ledger, kGranules * kPerGranule));
  const uint64_t before = ledger.metadata();
  std::atomic<size_t> ready{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (size_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      ready++;
      while (ready.load() < kThreads) {
      }
      for (size_t g = 0; g < kGranules; g++) {
        uint64_t* entry = table.EnsureCommitted(g * kPerGranule + t);
        if (entry != nullptr) *entry = g + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.metadata() - before, kGranules * kOsPageBytes);
  for (size_t g = 0; g < kGranules; g++) {
    for (size_t t = 0; t < kThreads; t++) {
      EXPECT_EQ(table.at(g * kPerGranule + t), g + 1);
    }
  }
  table.Release();
  EXPECT_EQ(ledger.committed(), 0);
}

}  // namespace
}  // namespace loam
