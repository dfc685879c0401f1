// Reserving is cheap and committing late: what the kernel backs of a page heap,
// and the huge pages that records of a large one may have.

#include <cstring>

#include "gtest/gtest.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"
#include "tests/heap/span_of_pages.h"
#include "tests/support/mappings.h"

namespace loam {
namespace {

using loam_test::Mapping;
using loam_test::MappingOf;
using loam_test::Mappings;

class ResidentMemoryTest : public testing::Test {
 protected:
  // What the kernel counts in the mappings of arenas. They may have merged with
  // others without access, of which nothing is resident.
  static size_t KernelCount(const PageHeap& heap) {
    size_t bytes = 0;
    for (const Mapping& mapping : Mappings()) {
      bool is_arena = false;
      for (const Arena* arena : heap.arena_snapshot()) {
        is_arena |= mapping.start < arena->base + kArenaBytes &&
                    mapping.end > arena->base;
      }
      if (is_arena) bytes += mapping.resident_bytes;
    }
    return bytes;
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
};

TEST_F(ResidentMemoryTest, IsWhatTheKernelCounts) {
  PageHeap heap(&ledger_, &persistent_, {});
  ASSERT_TRUE(heap.Initialize());
  EXPECT_EQ(heap.ResidentBytes(), 0);
  Span* span = heap.AllocateSpan(Pages(1000), kGeneration, true);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(heap.ResidentBytes(), 0) << "allocated, not touched";
  EXPECT_EQ(KernelCount(heap), 0);
  EXPECT_GE(heap.stats().mapped_bytes, span->bytes());
  EXPECT_LE(heap.stats().mapped_bytes, heap.stats().reserved_bytes);
  // Every third page, and a run.
  for (size_t page = 0; page < 600; page += 3) {
    *reinterpret_cast<char*>(span->base + page * kPageBytes) = 1;
  }
  memset(reinterpret_cast<void*>(span->base + 700 * kPageBytes), 1,
         100 * kPageBytes);
  const size_t expected = 200 * kOsPageBytes + 100 * kPageBytes;
  EXPECT_EQ(heap.ResidentBytes(), expected);
  EXPECT_EQ(KernelCount(heap), expected);
  heap.FreeSpan(span);
  EXPECT_EQ(heap.ResidentBytes(), expected) << "free, not given back";
  EXPECT_EQ(heap.ReleaseFreePages(SIZE_MAX), 1000 * kPageBytes);
  EXPECT_EQ(heap.ResidentBytes(), 0);
  EXPECT_EQ(KernelCount(heap), 0);
  EXPECT_GE(heap.stats().mapped_bytes, 1000 * kPageBytes) << "mapped still";
}

TEST_F(ResidentMemoryTest, RecordsMayHaveHugePagesInALargeHeap) {
  PageHeapOptions options;
  options.metadata_huge_pages_from = size_t{64} << 20;
  PageHeap heap(&ledger_, &persistent_, options);
  ASSERT_TRUE(heap.Initialize());
  const auto allocate = [&](size_t pages) {
    Span* span = heap.AllocateSpan(Pages(pages), kGeneration, true);
    EXPECT_NE(span, nullptr);
    return span;
  };
  const auto mapping_of = [](const Span* span) {
    return MappingOf(reinterpret_cast<uintptr_t>(span));
  };
  // Records of a heap below the threshold: no huge pages.
  Span* small = allocate(1);
  for (int i = 0; i < 1000; i++) small = allocate(1);
  ASSERT_NE(mapping_of(small).bytes(), 0);
  if (mapping_of(small).HasFlag("nh") == mapping_of(small).HasFlag("hg")) {
    GTEST_SKIP() << "the kernel has no huge pages";
  }
  EXPECT_TRUE(mapping_of(small).HasFlag("nh"));
  // From the threshold on: new blocks may have them, old ones stay.
  const uint64_t metadata = ledger_.metadata();
  allocate((size_t{64} << 20) / kPageBytes);
  const Span* large = allocate(512);
  for (int i = 0; i < 1000; i++) large = allocate(1);
  EXPECT_TRUE(mapping_of(large).HasFlag("hg"));
  EXPECT_GE(mapping_of(large).bytes(), os::kHugePageBytes);
  EXPECT_GE(ledger_.metadata(), metadata + os::kHugePageBytes);
  EXPECT_TRUE(mapping_of(small).HasFlag("nh"));
  char problem[256] = "";
  EXPECT_TRUE(heap.CheckInvariants(problem, sizeof(problem))) << problem;
}

// Where a block of a huge page does not fit under the limit, a small one does.
TEST_F(ResidentMemoryTest, NearTheLimitRecordsDoWithoutHugePages) {
  persistent_.UseHugePages();
  ledger_.set_limit(size_t{256} << 10);
  void* record = persistent_.Allocate(100, 8);
  ASSERT_NE(record, nullptr);
  EXPECT_LE(ledger_.metadata(), size_t{64} << 10);
  ledger_.set_limit(UINT64_MAX);
  for (int i = 0; i < 1000; i++) {
    record = persistent_.Allocate(100, 8);
    ASSERT_NE(record, nullptr);
    memset(record, 1, 100);
  }
  EXPECT_GE(ledger_.metadata(), os::kHugePageBytes);
  // Larger than what goes into a block.
  record = persistent_.Allocate(os::kHugePageBytes, 4096);
  ASSERT_NE(record, nullptr);
  memset(record, 1, os::kHugePageBytes);
}

}  // namespace
}  // namespace loam
