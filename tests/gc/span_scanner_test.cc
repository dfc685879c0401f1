// Objects of one span that are scanned together: spans that lead to themselves,
// and arrays whose neighbours are neighbours in the heap.

#include "runtime/gc/span_scanner.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/gc/mark_fixture.h"

namespace loam {
namespace {

constexpr size_t kLargeStack = size_t{64} << 20;

class SpanScannerTest : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (GetParam() > 0) heap_.AddWorkers(GetParam());
  }

  void MarkFrom(uintptr_t root) { heap_.MarkFrom({root}); }

  // All cells of a span of the smallest cells, in no order.
  std::vector<TestObject> SpanOfLinks() {
    std::vector<TestObject> links = {heap_.NewLink()};
    while (links.size() < links[0].span->cell_count) {
      links.push_back(heap_.NewLink());
      EXPECT_EQ(links.back().span, links[0].span);
    }
    Shuffle(&links);
    return links;
  }

  template <typename T>
  void Shuffle(std::vector<T>* list) {
    for (size_t i = list->size() - 1; i > 0; i--) {
      std::swap((*list)[i], (*list)[random_.Below(i + 1)]);
    }
  }

  TestRandom random_;
  MarkFixture heap_{ValueEncoding(), kLargeStack};
};

TEST_P(SpanScannerTest, AChainThroughAWholeSpan) {
  SCOPED_TRACE(random_.Describe());
  const std::vector<TestObject> links = SpanOfLinks();
  for (size_t i = 0; i + 1 < links.size(); i++) {
    MarkFixture::Store(links[i].slots[0], links[i + 1].address);
  }
  // And back into the middle.
  MarkFixture::Store(links.back().slots[0], links[links.size() / 2].address);
  for (const size_t start : {size_t{0}, size_t{1}, links.size() - 3}) {
    MarkFrom(links[start].address);
    const size_t reached = std::max(links.size() - start, links.size() / 2);
    EXPECT_EQ(heap_.CountMarked(), reached) << start;
    EXPECT_EQ(heap_.marker()->marked_objects(), reached) << start;
    EXPECT_EQ(heap_.marker()->marked_bytes(),
              reached * links[0].span->cell_bytes)
        << start;
  }
}

// Every cell of the span waits at the same time: from one array, in a row.
TEST_P(SpanScannerTest, AnArrayOfAWholeSpan) {
  SCOPED_TRACE(random_.Describe());
  const std::vector<TestObject> links = SpanOfLinks();
  const TestObject array = heap_.New(TestKind::kLargePointers);
  ASSERT_GE(array.slots.size(), 2 * links.size());
  for (size_t i = 0; i < links.size(); i++) {
    MarkFixture::Store(array.slots[2 * i], links[i].address);
    MarkFixture::Store(array.slots[2 * i + 1],
                       links[random_.Below(links.size())].address);
    MarkFixture::Store(links[i].slots[0],
                       links[random_.Below(links.size())].address);
  }
  MarkFrom(array.address);
  EXPECT_EQ(heap_.CountMarked(), 1 + links.size());
  EXPECT_EQ(heap_.marker()->marked_objects(), 1 + links.size());
}

// Runs of neighbours of every kind, and what they refer to; between them
// references that end a run: NULL, repeated, inner addresses, outside.
TEST_P(SpanScannerTest, RunsOfNeighboursOfEveryKind) {
  SCOPED_TRACE(random_.Describe());
  const TestObject array = heap_.New(TestKind::kLargePointers);
  std::vector<TestObject> reached = {array};
  std::vector<TestObject> not_reached;
  size_t slot = 0;
  for (const TestKind kind :
       {TestKind::kBytes, TestKind::kMasks, TestKind::kValues,
        TestKind::kLayout, TestKind::kHeadedRecord, TestKind::kHeadedArray,
        TestKind::kSpanBitmap, TestKind::kLargeBytes}) {
    const size_t count = kind == TestKind::kLargeBytes ? 3 : 100;
    std::vector<TestObject> run;
    for (size_t i = 0; i < count; i++) {
      run.push_back(heap_.New(kind));
      not_reached.push_back(heap_.New(kind));
    }
    for (const TestObject& object : run) {
      MarkFixture::Store(array.slots[slot++], object.address);
      switch (random_.Below(8)) {
        case 0:
          MarkFixture::Store(array.slots[slot++], object.address + 8);
          break;
        case 1:
          MarkFixture::Store(array.slots[slot++], 0);
          break;
        case 2:
          MarkFixture::Store(array.slots[slot++],
                             run[random_.Below(count)].address);
          break;
        case 3:
          MarkFixture::Store(array.slots[slot++],
                             reinterpret_cast<uintptr_t>(&array));
          break;
        default:
          break;
      }
      // One reference to something of its own, one inside the run.
      if (object.slots.empty()) continue;
      reached.push_back(heap_.New(TestKind::kMasks));
      MarkFixture::Store(object.slots[0], reached.back().address);
      if (object.slots.size() == 1) continue;
      MarkFixture::Store(object.slots[1], run[random_.Below(count)].address);
    }
    reached.insert(reached.end(), run.begin(), run.end());
    ASSERT_LE(slot + 200, array.slots.size());
  }
  MarkFrom(array.address);
  for (const TestObject& object : reached) {
    ASSERT_TRUE(MarkFixture::IsMarked(object));
  }
  for (const TestObject& object : not_reached) {
    ASSERT_FALSE(MarkFixture::IsMarked(object));
  }
  EXPECT_EQ(heap_.CountMarked(), reached.size());
  EXPECT_EQ(heap_.marker()->marked_objects(), reached.size());
}

INSTANTIATE_TEST_SUITE_P(Workers, SpanScannerTest, testing::Values(0, 2));

}  // namespace
}  // namespace loam
