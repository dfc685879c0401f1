// Manual spans: pages that hold no objects.

#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/page_heap.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kEmbedder = static_cast<size_t>(ManualUse::kEmbedder);
constexpr size_t kWorkBuffer = static_cast<size_t>(ManualUse::kWorkBuffer);

class ManualSpanTest : public testing::Test {
 protected:
  ManualSpanTest() {
    heap_ =
        std::make_unique<PageHeap>(&ledger_, &persistent_, PageHeapOptions{});
    EXPECT_TRUE(heap_->Initialize());
  }

  uintptr_t Allocate(size_t pages, size_t alignment = kPageBytes,
                     ManualUse use = ManualUse::kEmbedder) {
    return heap_->AllocateManual(pages, alignment, use);
  }
  bool Free(uintptr_t address, ManualUse use = ManualUse::kEmbedder) {
    return heap_->FreeManual(address, use);
  }
  Span* AllocateSpan(size_t pages) {
    SpanShape shape = {};
    shape.kind = SpanKind::kLarge;
    shape.scan = ScanKind::kNoscan;
    shape.pages = static_cast<uint32_t>(pages);
    shape.cell_bytes = pages * kPageBytes;
    return heap_->AllocateSpan(shape, 4, true);
  }
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(heap_->CheckInvariants(problem, sizeof(problem))) << problem;
    const PageHeapStats stats = heap_->stats();
    EXPECT_EQ(stats.memory.committed - stats.memory.metadata,
              stats.span_bytes + stats.free_page_bytes);
  }
  static bool IsZero(uintptr_t address, size_t pages) {
    const auto* words = reinterpret_cast<const uint64_t*>(address);
    for (size_t i = 0; i < pages * kPageBytes / 8; i++) {
      if (words[i] != 0) return false;
    }
    return true;
  }
  static void Fill(uintptr_t address, size_t pages, int byte) {
    memset(reinterpret_cast<void*>(address), byte, pages * kPageBytes);
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  std::unique_ptr<PageHeap> heap_;
};

TEST_F(ManualSpanTest, HoldsNoObjects) {
  Span* before = AllocateSpan(2);
  const uintptr_t pages = Allocate(3);
  ASSERT_NE(pages, 0u);
  EXPECT_EQ(pages, before->base + 2 * kPageBytes) << "ordinary pages";
  for (size_t i = 0; i < 3; i++) {
    const uintptr_t page = pages + i * kPageBytes;
    EXPECT_EQ(heap_->FindSpan(page), nullptr);
    EXPECT_TRUE(heap_->IsManual(page));
    EXPECT_TRUE(heap_->IsManual(page + kPageBytes - 1));
  }
  EXPECT_FALSE(heap_->IsManual(pages - 1));
  EXPECT_FALSE(heap_->IsManual(pages + 3 * kPageBytes));
  EXPECT_FALSE(heap_->IsManual(0));
  EXPECT_FALSE(heap_->IsManual(UINTPTR_MAX));
  size_t visited = 0;
  heap_->ForEachSpan([&](Span* span) {
    EXPECT_EQ(span, before);
    visited++;
  });
  EXPECT_EQ(visited, 1u);
  Check();
}

TEST_F(ManualSpanTest, IsZeroed) {
  const uintptr_t pages = Allocate(8);
  EXPECT_TRUE(IsZero(pages, 8));
  Fill(pages, 8, 0xab);
  ASSERT_TRUE(Free(pages));
  EXPECT_EQ(Allocate(5), pages) << "the same pages";
  EXPECT_TRUE(IsZero(pages, 5));
  EXPECT_TRUE(IsZero(Allocate(20), 20));
}

TEST_F(ManualSpanTest, CountsByUse) {
  const PageHeapStats before = heap_->stats();
  const uintptr_t a = Allocate(3);
  const uintptr_t b = Allocate(5, kPageBytes, ManualUse::kWorkBuffer);
  AllocateSpan(7);
  PageHeapStats stats = heap_->stats();
  EXPECT_EQ(stats.manual_bytes[kEmbedder], 3 * kPageBytes);
  EXPECT_EQ(stats.manual_bytes[kWorkBuffer], 5 * kPageBytes);
  EXPECT_EQ(stats.all_manual_bytes(), 8 * kPageBytes);
  EXPECT_EQ(stats.span_bytes, before.span_bytes + 15 * kPageBytes);
  EXPECT_EQ(stats.spans, 1u) << "those that hold objects";
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_FALSE(Free(a, ManualUse::kWorkBuffer)) << "another use";
  EXPECT_TRUE(Free(a));
  EXPECT_TRUE(Free(b, ManualUse::kWorkBuffer));
  stats = heap_->stats();
  EXPECT_EQ(stats.all_manual_bytes(), 0u);
  EXPECT_EQ(stats.spans, 1u);
  Check();
}

TEST_F(ManualSpanTest, WhatIsNoneIsNotFreed) {
  Span* span = AllocateSpan(2);
  const uintptr_t pages = Allocate(4);
  EXPECT_FALSE(Free(span->base));
  EXPECT_FALSE(Free(pages + kPageBytes)) << "inside";
  EXPECT_FALSE(Free(pages + 8));
  EXPECT_FALSE(Free(0));
  EXPECT_FALSE(Free(8));
  EXPECT_FALSE(Free(UINTPTR_MAX - kPageBytes + 1));
  EXPECT_TRUE(Free(pages));
  EXPECT_FALSE(Free(pages)) << "twice";
  Check();
}

TEST_F(ManualSpanTest, IsAligned) {
  AllocateSpan(3);
  for (size_t alignment = kPageBytes; alignment <= kArenaBytes;
       alignment *= 2) {
    SCOPED_TRACE(alignment);
    const uintptr_t pages = Allocate(3, alignment);
    ASSERT_NE(pages, 0u);
    EXPECT_EQ(pages % alignment, 0u);
    EXPECT_TRUE(IsZero(pages, 3));
    ASSERT_NO_FATAL_FAILURE(Check());
  }
  // Nothing was wasted: what lies between is found.
  const uint64_t arenas = heap_->stats().reserved_bytes;
  for (size_t i = 0; i < kPagesPerArena / 8; i++) {  // half an arena
    ASSERT_NE(AllocateSpan(4), nullptr);
  }
  EXPECT_EQ(heap_->stats().reserved_bytes, arenas);
  Check();
}

TEST_F(ManualSpanTest, MayStraddleArenas) {
  AllocateSpan(kPagesPerArena - 10);
  const uintptr_t pages = Allocate(20);
  ASSERT_NE(pages, 0u);
  if (pages / kArenaBytes == (pages + 19 * kPageBytes) / kArenaBytes) {
    GTEST_SKIP() << "the second arena could not be placed behind the first";
  }
  EXPECT_TRUE(heap_->IsManual(pages));
  EXPECT_TRUE(heap_->IsManual(pages + 19 * kPageBytes));
  Fill(pages, 20, 1);
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_TRUE(Free(pages));
  EXPECT_FALSE(heap_->IsManual(pages + 19 * kPageBytes));
  Check();
}

TEST_F(ManualSpanTest, CountsAgainstTheLimit) {
  const uintptr_t first = Allocate(1);
  ledger_.set_limit(ledger_.committed() + 20 * kPageBytes);
  EXPECT_EQ(Allocate(21), 0u);
  ASSERT_NO_FATAL_FAILURE(Check());
  const uintptr_t pages = Allocate(10);
  EXPECT_NE(pages, 0u);
  EXPECT_EQ(Allocate(11), 0u);
  ASSERT_NO_FATAL_FAILURE(Check());
  EXPECT_TRUE(Free(pages));
  EXPECT_TRUE(Free(first));
  Check();
}

TEST_F(ManualSpanTest, EveryPointOfFailureLeavesItUsable) {
  for (size_t room = 0; room < 60; room++) {
    MemoryLedger ledger;
    PersistentAllocator persistent(&ledger);
    PageHeap heap(&ledger, &persistent, PageHeapOptions{});
    ASSERT_TRUE(heap.Initialize());
    ledger.set_limit(ledger.committed() + room * 4096);
    std::vector<uintptr_t> all;
    while (const uintptr_t pages =
               heap.AllocateManual(2, kPageBytes, ManualUse::kEmbedder)) {
      all.push_back(pages);
    }
    char problem[256] = "";
    ASSERT_TRUE(heap.CheckInvariants(problem, sizeof(problem))) << problem;
    EXPECT_EQ(heap.stats().all_manual_bytes(), all.size() * 2 * kPageBytes);
    for (const uintptr_t pages : all) {
      ASSERT_TRUE(heap.FreeManual(pages, ManualUse::kEmbedder));
    }
    ASSERT_TRUE(heap.CheckInvariants(problem, sizeof(problem))) << problem;
  }
}

// Those that live at its end go with the heap, and so does their table.
TEST_F(ManualSpanTest, EndsWithTheHeap) {
  Allocate(3);
  Allocate(300, size_t{1} << 20);
  heap_.reset();
  EXPECT_EQ(ledger_.committed() - ledger_.metadata(), 0u);
}

TEST_F(ManualSpanTest, ThreadsAtOnce) {
  const TestRandom seed;
  SCOPED_TRACE(seed.Describe());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      TestRandom random(seed, t);
      std::vector<std::pair<uintptr_t, size_t>> mine;
      for (int i = 0; i < 1000; i++) {
        if (mine.size() < 10 && random.OneIn(2)) {
          const size_t pages = random.Between(1, 9);
          const uintptr_t at = Allocate(pages, kPageBytes << random.Below(4));
          ASSERT_NE(at, 0u);
          ASSERT_TRUE(IsZero(at, pages));
          Fill(at, pages, static_cast<int>(t + 1));
          mine.emplace_back(at, pages);
        } else if (!mine.empty()) {
          ASSERT_TRUE(Free(mine.back().first));
          mine.pop_back();
        } else {
          Span* span = AllocateSpan(2);
          heap_->FreeSpan(span);
        }
      }
      for (const auto& [at, pages] : mine) ASSERT_TRUE(Free(at));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heap_->stats().all_manual_bytes(), 0u);
  Check();
}

}  // namespace
}  // namespace loam
