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
