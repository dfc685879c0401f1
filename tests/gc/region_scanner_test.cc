// Heaps of many megabytes in which references lead anywhere: marked a region at
// a time, with one marker and with several.

#include "runtime/gc/region_scanner.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/gc/mark_fixture.h"

namespace loam {
namespace {

constexpr size_t kLargeStack = size_t{64} << 20;

// An array, from each of whose slots a chain leads through all of the heap: so
// many objects and the array, which it returns.
uintptr_t NewChains(MarkFixture* heap, TestRandom* random, size_t objects) {
  const TestObject root = heap->New(TestKind::kLargePointers);
  std::vector<TestObject> links;
  links.reserve(objects);
  for (size_t i = 0; i < objects; i++) links.push_back(heap->NewLink());
  for (size_t i = objects - 1; i > 0; i--) {
    std::swap(links[i], links[random->Below(i + 1)]);
  }
  const size_t chains = root.slots.size();
  for (size_t i = 0; i < objects; i++) {
    MarkFixture::Store(i < chains ? root.slots[i] : links[i - chains].slots[0],
                       links[i].address);
  }
  return root.address;
}

class RegionScannerTest : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (GetParam() > 0) heap_.AddWorkers(GetParam());
  }

  void MarkFrom(uintptr_t root) {
    heap_.MarkFrom({root});
    EXPECT_EQ(heap_.ledger()->metadata(), metadata_before_);
  }

  void ExpectMarked(size_t objects) {
    EXPECT_EQ(heap_.CountMarked(), objects);
    EXPECT_EQ(heap_.marker()->marked_objects(), objects);
  }

  void HeapIsBuilt() { metadata_before_ = heap_.ledger()->metadata(); }

  TestRandom random_;
  MarkFixture heap_{ValueEncoding(), kLargeStack};
  size_t metadata_before_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Workers, RegionScannerTest, testing::Values(0, 1, 3));

// Objects of all small kinds, and a graph of which almost everything is
// reached.
TEST_P(RegionScannerTest, ARandomGraph) {
  SCOPED_TRACE(random_.Describe());
  constexpr size_t kObjects = 100'000;
  std::vector<TestObject> objects;
  objects.reserve(kObjects);
  for (size_t i = 0; i < kObjects; i++) {
    objects.push_back(heap_.New(static_cast<TestKind>(
        random_.Below(static_cast<size_t>(TestKind::kLargeBytes)))));
  }
  std::vector<std::vector<size_t>> references(kObjects);
  for (size_t i = 0; i < kObjects; i++) {
    for (const TestSlot& slot : objects[i].slots) {
      if (references[i].size() == 3) break;
      const size_t to = random_.Below(kObjects);
      MarkFixture::Store(slot, objects[to].address);
      references[i].push_back(to);
    }
  }
  HeapIsBuilt();
  heap_.marker()->set_marked_by_region(0);
  for (int round = 0; round < 3; round++) {
    const size_t root = random_.Below(kObjects);
    MarkFrom(objects[root].address);
    std::vector<bool> reached(kObjects);
    std::vector<size_t> pending = {root};
    size_t count = 0;
    while (!pending.empty()) {
      const size_t i = pending.back();
      pending.pop_back();
      if (reached[i]) continue;
      reached[i] = true;
      count++;
      pending.insert(pending.end(), references[i].begin(), references[i].end());
    }
    for (size_t i = 0; i < kObjects; i++) {
      ASSERT_EQ(MarkFixture::IsMarked(objects[i]), reached[i]) << i;
    }
    ExpectMarked(count);
    if (count > kObjects / 2) {
      EXPECT_GT(heap_.marker()->marked_regions(), 10);
    }
  }
}

// Spans and objects that extend over the borders of regions, and large ones
// that begin regions before.
TEST_P(RegionScannerTest, BordersOfRegions) {
  SCOPED_TRACE(random_.Describe());
  const TestObject root = heap_.New(TestKind::kLargePointers);
  std::vector<TestObject> objects;
  for (int i = 0; i < 400; i++) {
    for (const TestKind kind :
         {TestKind::kLargeBytes, TestKind::kLargeArray, TestKind::kMasks,
          TestKind::kLayout, TestKind::kCellBitmap, TestKind::kSpanBitmap}) {
      objects.push_back(heap_.New(kind));
    }
  }
  HeapIsBuilt();
  ASSERT_GE(root.slots.size(), 8000);
  // Most of these are references into the middle.
  for (size_t i = 0; i < root.slots.size(); i++) {
    const TestObject& object = objects[i % objects.size()];
    MarkFixture::Store(root.slots[i],
                       object.address + random_.Below(object.bytes));
  }
  const size_t referred = std::min(root.slots.size(), objects.size());
  ASSERT_EQ(referred, objects.size());
  MarkFrom(root.address);
  ExpectMarked(1 + objects.size());
  EXPECT_GT(heap_.marker()->marked_regions(), 2);
}

// Spans with the most cells there can be, of which most lie behind the region,
// do not disturb an array that begins before it.
TEST_P(RegionScannerTest, TheLastPageOfARegion) {
  constexpr uintptr_t kRegion = uintptr_t{1} << RegionStacks::kRegionShift;
  SpanShape filler = {SpanKind::kNoscan, ScanKind::kNoscan};
  filler.pages = 1;
  filler.cell_bytes = 1024;
  // Fills the heap until the next span begins at `address`.
  const auto fill_until = [&](uintptr_t address) {
    const Span* span;
    do {
      span = heap_.pages()->AllocateSpan(filler, 4, /*may_grow=*/true);
      ASSERT_NE(span, nullptr);
      ASSERT_LT(span->base, address);
    } while (span->base + kPageBytes != address);
  };
  const TestObject root = heap_.New(TestKind::kLargePointers);
  const TestObject kept = heap_.New(TestKind::kMasks);
  for (const ScanKind scan : {ScanKind::kNoscan, ScanKind::kMasks}) {
    SCOPED_TRACE(static_cast<int>(scan));
    const uintptr_t region =
        AlignUp(heap_.pages()->highest_address(), kRegion) + kRegion;
    fill_until(region - 2 * kPageBytes);
    const TestObject array = heap_.New(TestKind::kLargePointers);
    ASSERT_LT(array.address, region);
    ASSERT_GT(array.address + array.bytes, region);
    fill_until(region + kRegion - kPageBytes);
    SpanShape shape = {SpanKind::kTyped, scan};
    shape.pages = 4;
    shape.cell_bytes = 16;
    const TestObject link = heap_.NewLink();
    shape.type = link.span->type;
    Span* const cells = heap_.pages()->AllocateSpan(shape, 4, true);
    ASSERT_NE(cells, nullptr);
    ASSERT_EQ(cells->cell_count, kMaxSpanCells);
    cells->set_free_index(kMaxSpanCells);
    metadata_before_ = heap_.ledger()->metadata();
    heap_.marker()->set_marked_by_region(0);

    // As many cells as make it worth marking the region as a whole.
    constexpr size_t kCells = 400;
    MarkFixture::Store(array.slots.back(), kept.address);
    MarkFixture::Store(root.slots[0], region + 64);
    for (size_t i = 0; i < kCells; i++) {
      // Not side by side, or they are not sorted at all.
      MarkFixture::Store(root.slots[2 + 2 * i], cells->CellAddress(i));
    }
    MarkFrom(root.address);
    EXPECT_TRUE(MarkFixture::IsMarked(array));
    EXPECT_TRUE(MarkFixture::IsMarked(kept));
    for (size_t i = 0; i < kMaxSpanCells; i++) {
      ASSERT_EQ(cells->IsMarked(i), i < kCells) << i;
    }
    ExpectMarked(3 + kCells);
    EXPECT_GT(heap_.marker()->marked_regions(), 0);
  }
}

// Of an object of millions of references only so many wait at a time.
TEST_P(RegionScannerTest, OneVeryLargeObject) {
  constexpr size_t kPages = 8192;
  constexpr size_t kWords = kPages * kPageBytes / kWordBytes;
  constexpr size_t kLinks = 50'000;
  std::vector<TestObject> links;
  links.reserve(kLinks);
  for (size_t i = 0; i < kLinks; i++) links.push_back(heap_.NewLink());
  SpanShape shape = {SpanKind::kLarge, ScanKind::kValues};
  shape.pages = kPages;
  shape.cell_bytes = kPages * kPageBytes;
  Span* const large = heap_.pages()->AllocateSpan(shape, 4, /*may_grow=*/true);
  ASSERT_NE(large, nullptr);
  large->set_free_index(1);
  for (size_t i = 0; i < kWords; i++) {
    MarkFixture::Store({WordKind::kValue, large->base + i * kWordBytes},
                       links[random_.Below(kLinks)].address);
  }
  HeapIsBuilt();
  const uint64_t before = heap_.ledger()->committed();
  MarkFrom(large->base);
  ExpectMarked(1 + kLinks);
  EXPECT_GT(heap_.marker()->marked_regions(), 0);
  // Four bytes for each reference would be twice as much.
  const uint64_t most = (1 + GetParam()) * kWords * 2;
  EXPECT_LT(heap_.ledger()->counts().peak_committed, before + most + (2 << 20));
}

// Words that lie in the heap's range and refer to nothing: unused ends of
// spans, and free pages.
TEST_P(RegionScannerTest, NoObjectThere) {
  const TestObject root = heap_.New(TestKind::kLargePointers);
  const TestObject last = heap_.New(TestKind::kLargeBytes);
  const TestObject record = heap_.New(TestKind::kSpanBitmap);
  HeapIsBuilt();
  const uintptr_t record_end = record.span->limit();
  const uintptr_t span_end = record.span->base + record.span->bytes();
  ASSERT_LT(record_end, span_end);
  heap_.marker()->set_marked_by_region(0);
  const uintptr_t highest = heap_.pages()->highest_address();
  for (size_t i = 0; i < root.slots.size(); i++) {
    const uintptr_t nowhere[] = {record_end, span_end - 8, highest - 8,
                                 highest - kPageBytes};
    MarkFixture::Store(root.slots[i], nowhere[i % 4]);
  }
  ASSERT_EQ(heap_.pages()->FindSpan(highest - 8), nullptr);
  MarkFrom(root.address);
  ExpectMarked(1);
  EXPECT_GT(heap_.marker()->marked_regions(), 0);
  EXPECT_FALSE(MarkFixture::IsMarked(last));
}

// Marking cannot fail: no memory for regions at all, or not enough.
TEST_P(RegionScannerTest, WithoutMemory) {
  SCOPED_TRACE(random_.Describe());
  constexpr size_t kObjects = 20'000;
  const uintptr_t root = NewChains(&heap_, &random_, kObjects);
  HeapIsBuilt();
  heap_.marker()->set_marked_by_region(0);
  // What is short is the memory for regions of the first marker, of others, or
  // that for references.
  for (size_t spare = 0; spare <= 384 << 10; spare += 16 << 10) {
    SCOPED_TRACE(spare);
    heap_.ledger()->set_limit(heap_.ledger()->committed() + spare);
    MarkFrom(root);
    ExpectMarked(1 + kObjects);
    if (spare == 0) {
      EXPECT_GT(heap_.marker()->rescan_rounds(), 0);
    }
  }
  EXPECT_EQ(heap_.marker()->rescan_rounds(), 0);
  EXPECT_GT(heap_.marker()->marked_regions(), 0);
}

// Who is called in may be given regions and have no memory for any: its stack,
// and so they, would be larger than the address space.
TEST(RegionScannerWorkerTest, AWorkerWithoutMemory) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  constexpr size_t kObjects = 100'000;
  MarkFixture heap(ValueEncoding(), kLargeStack);
  heap.AddWorkers(1, size_t{1} << 60);
  heap.marker()->set_marked_by_region(0);
  const uintptr_t root = NewChains(&heap, &random, kObjects);
  for (int round = 0; round < 10; round++) {
    heap.MarkFrom({root});
    ASSERT_EQ(heap.CountMarked(), 1 + kObjects);
    ASSERT_EQ(heap.marker()->marked_objects(), 1 + kObjects);
  }
}

}  // namespace
}  // namespace loam
