#include "runtime/gc/marker.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gc/mark_fixture.h"

namespace loam {
namespace {

constexpr size_t kLargeStack = size_t{64} << 20;
constexpr size_t kPieceBytes = 128 << 10;

class MarkerTest : public testing::Test {
 protected:
  void MarkFrom(const std::vector<uintptr_t>& roots) { heap_.MarkFrom(roots); }

  MarkFixture heap_{ValueEncoding(), kLargeStack};
};

TEST_F(MarkerTest, NothingFromNoRoots) {
  heap_.New(TestKind::kMasks);
  MarkFrom({});
  EXPECT_EQ(heap_.CountMarked(), 0);
  EXPECT_EQ(heap_.marker()->marked_objects(), 0);
}

TEST_F(MarkerTest, EmptyHeap) {
  MarkFrom({0, 1, 0xc000000000, UINTPTR_MAX});
  EXPECT_EQ(heap_.marker()->marked_objects(), 0);
}

// One object of each kind, with a bystander of that kind, and everything it
// refers to.
TEST_F(MarkerTest, EveryKindIsScannedExactly) {
  for (int k = 0; k < static_cast<int>(TestKind::kCount); k++) {
    SCOPED_TRACE(testing::Message() << "kind " << k);
    const auto kind = static_cast<TestKind>(k);
    const TestObject before = heap_.New(kind);
    const TestObject object = heap_.New(kind);
    const TestObject after = heap_.New(kind);
    // Every word a reference to an object of its own; those in slots count.
    std::vector<TestObject> referred;
    std::vector<TestObject> bait;
    size_t next_slot = 0;
    for (size_t i = 0; i < object.bytes / kWordBytes; i++) {
      const uintptr_t address = object.address + i * kWordBytes;
      bool is_slot = false;
      for (size_t s = next_slot; s < object.slots.size() && !is_slot; s++) {
        is_slot = object.slots[s].address == address;
        if (is_slot) next_slot = s;
      }
      std::vector<TestObject>& list = is_slot ? referred : bait;
      list.push_back(heap_.New(TestKind::kBytes));
      MarkFixture::Store({WordKind::kPointer, address}, list.back().address);
    }
    EXPECT_EQ(referred.size(), object.slots.size());
    MarkFrom({object.address});
    EXPECT_TRUE(MarkFixture::IsMarked(object));
    EXPECT_FALSE(MarkFixture::IsMarked(before));
    EXPECT_FALSE(MarkFixture::IsMarked(after));
    for (size_t i = 0; i < referred.size(); i++) {
      ASSERT_TRUE(MarkFixture::IsMarked(referred[i])) << "slot " << i;
    }
    for (size_t i = 0; i < bait.size(); i++) {
      ASSERT_FALSE(MarkFixture::IsMarked(bait[i])) << "data word " << i;
    }
    EXPECT_EQ(heap_.CountMarked(), 1 + referred.size());
    EXPECT_EQ(heap_.marker()->marked_objects(), 1 + referred.size());
    EXPECT_EQ(heap_.marker()->marked_bytes(),
              object.span->cell_bytes + 64 * referred.size());
    EXPECT_EQ(heap_.marker()->rescan_rounds(), 0);
  }
}

TEST_F(MarkerTest, InteriorReferencesKeepTheWholeObject) {
  const TestObject object = heap_.New(TestKind::kValues);
  const TestObject child = heap_.New(TestKind::kBytes);
  MarkFixture::Store(object.slots[0], child.address);
  for (size_t offset = 0; offset < object.bytes; offset++) {
    MarkFrom({object.address + offset});
    EXPECT_TRUE(MarkFixture::IsMarked(object));
    EXPECT_TRUE(MarkFixture::IsMarked(child));
    EXPECT_EQ(heap_.CountMarked(), 2);
    EXPECT_TRUE(heap_.marker()->HasReached(child.address + 63));
  }
  const TestObject large = heap_.New(TestKind::kLargeValues);
  MarkFixture::Store(large.slots[5], child.address);
  MarkFrom({large.address + large.bytes - 1});
  EXPECT_TRUE(MarkFixture::IsMarked(large));
  EXPECT_TRUE(MarkFixture::IsMarked(child));
}

TEST_F(MarkerTest, WhatIsNoReferenceIsIgnored) {
  const TestObject object = heap_.New(TestKind::kValues);
  const TestObject padded = heap_.New(TestKind::kSpanBitmap);
  Span* span = padded.span;
  const uintptr_t free_page =
      heap_.pages()->highest_address() - kPageBytes;  // grown, in no span
  ASSERT_EQ(heap_.pages()->FindSpan(free_page), nullptr);
  int on_stack = 0;
  const uintptr_t words[] = {
      8,
      UINTPTR_MAX,
      heap_.pages()->lowest_address() - 1,
      heap_.pages()->highest_address(),
      free_page,
      span->limit(),                   // behind the last cell
      span->base + span->bytes() - 1,  // in the bitmaps
  };
  size_t slot = 0;
  for (const uintptr_t word : words) {
    MarkFixture::Store(object.slots[slot++ % 6], word);
    MarkFrom({object.address, word, reinterpret_cast<uintptr_t>(&on_stack)});
    EXPECT_EQ(heap_.CountMarked(), 1);
  }
}

TEST_F(MarkerTest, CyclesAndSelfReferencesEnd) {
  const TestObject a = heap_.New(TestKind::kValues);
  const TestObject b = heap_.New(TestKind::kHeadedRecord);
  MarkFixture::Store(a.slots[0], a.address);
  MarkFixture::Store(a.slots[1], b.address);
  MarkFixture::Store(b.slots[0], a.address);
  MarkFrom({b.address});
  EXPECT_EQ(heap_.marker()->marked_objects(), 2);
}

TEST_F(MarkerTest, LongChain) {
  constexpr size_t kLinks = 200'000;
  TestObject previous = heap_.NewLink();
  const uintptr_t first = previous.address;
  for (size_t i = 1; i < kLinks; i++) {
    const TestObject link = heap_.NewLink();
    MarkFixture::Store(previous.slots[0], link.address);
    previous = link;
  }
  MarkFrom({first});
  EXPECT_EQ(heap_.marker()->marked_objects(), kLinks);
  EXPECT_EQ(heap_.marker()->marked_bytes(), kLinks * 16);
  // From the middle: the second half.
  MarkFrom({first + size_t{16} * 100});
  EXPECT_EQ(heap_.marker()->marked_objects(), kLinks - 100);
}

// Words at both sides of every boundary between pieces.
TEST_F(MarkerTest, LargeObjectsArePiecedTogether) {
  for (const TestKind kind :
       {TestKind::kLargeValues, TestKind::kLargeArray, TestKind::kLargePointers,
        TestKind::kLargeBitmap}) {
    const TestObject object = heap_.New(kind);
    ASSERT_GT(object.bytes, 2 * kPieceBytes);
    std::vector<TestObject> children;
    for (const TestSlot& slot : object.slots) {
      const size_t in_piece = (slot.address - object.address) % kPieceBytes;
      if (in_piece > 3000 && in_piece < kPieceBytes - 3000) continue;
      children.push_back(heap_.New(TestKind::kBytes));
      MarkFixture::Store(slot, children.back().address);
    }
    ASSERT_GT(children.size(), 20);
    MarkFrom({object.address});
    for (const TestObject& child : children) {
      ASSERT_TRUE(MarkFixture::IsMarked(child));
    }
    EXPECT_EQ(heap_.CountMarked(), 1 + children.size());
  }
}

TEST_F(MarkerTest, AmbiguousWordsHitOnlyAllocatedCells) {
  const TestObject object = heap_.New(TestKind::kValues);
  const TestObject child = heap_.New(TestKind::kBytes);
  MarkFixture::Store(object.slots[3], child.address);
  Span* span = object.span;
  const size_t free_cell = object.index + 5;
  const auto visit = [&](uintptr_t word) {
    heap_.Unmark();
    heap_.marker()->Begin();
    heap_.marker()->VisitAmbiguous(word);
    heap_.marker()->Drain();
    return heap_.CountMarked();
  };
  EXPECT_EQ(visit(object.address), 2);
  EXPECT_EQ(visit(object.address + 47), 2) << "interior, and not aligned";
  EXPECT_EQ(visit(span->CellAddress(free_cell)), 0);
  EXPECT_EQ(visit(span->CellAddress(free_cell) + 8), 0);
  EXPECT_EQ(visit(span->limit()), 0);
  EXPECT_EQ(visit(heap_.pages()->highest_address() - 1), 0);
  EXPECT_EQ(visit(0), 0);
  EXPECT_EQ(visit(12345), 0);
  // Above the free index alloc bits tell.
  std::vector<uint64_t> alloc_bits(BitmapWords(span->cell_count));
  SetBit(alloc_bits.data(), free_cell);
  span->set_alloc_bits(alloc_bits.data());
  EXPECT_EQ(visit(span->CellAddress(free_cell)), 1);
  EXPECT_EQ(visit(span->CellAddress(free_cell + 1)), 0);
  span->set_alloc_bits(NoBits());
}

TEST_F(MarkerTest, AmbiguousWordsOfObjects) {
  const FieldInfo fields[] = {{"regs", 0, 2, WordKind::kAmbiguous},
                              {"next", 16, 1, WordKind::kPointer}};
  TypeInfo info;
  info.name = "frame";
  info.size = 32;
  info.fields = fields;
  info.field_count = 2;
  const Type* type = nullptr;
  ErrorMessage message;
  ASSERT_EQ(heap_.types()->Register(info, &type, &message), Status::kOk);
  SpanShape shape = {};
  shape.kind = SpanKind::kTyped;
  shape.scan = type->scan;
  shape.cell_bytes = 32;
  shape.pages = 1;
  shape.type = type;
  Span* span = heap_.SpanFor(shape, 1000);
  span->set_free_index(1);
  auto* words = reinterpret_cast<uintptr_t*>(span->base);
  const TestObject a = heap_.New(TestKind::kBytes);
  const TestObject b = heap_.New(TestKind::kBytes);
  words[0] = a.address + 3;
  words[1] = span->CellAddress(7);  // free
  words[2] = b.address;
  MarkFrom({span->base});
  EXPECT_EQ(heap_.CountMarked(), 3);
  EXPECT_TRUE(MarkFixture::IsMarked(a));
  EXPECT_TRUE(MarkFixture::IsMarked(b));
}

TEST_F(MarkerTest, ScanObjectVisitsWithoutReaching) {
  // The last ones are scanned in pieces.
  for (const TestKind kind : {TestKind::kHeadedArray, TestKind::kLargeArray,
                              TestKind::kLargeValues, TestKind::kLargeBitmap}) {
    SCOPED_TRACE(static_cast<int>(kind));
    heap_.Unmark();
    const TestObject object = heap_.New(kind);
    const TestObject child = heap_.New(TestKind::kMasks);
    const TestObject grandchild = heap_.New(TestKind::kBytes);
    MarkFixture::Store(object.slots.back(), child.address);
    MarkFixture::Store(child.slots[0], grandchild.address);
    heap_.marker()->Begin();
    heap_.marker()->ScanObject(object.span, object.address);
    heap_.marker()->Drain();
    EXPECT_FALSE(heap_.marker()->HasReached(object.address));
    EXPECT_TRUE(heap_.marker()->HasReached(child.address));
    EXPECT_TRUE(heap_.marker()->HasReached(grandchild.address));
    EXPECT_EQ(heap_.marker()->marked_objects(), 2);
  }
}

TEST_F(MarkerTest, HasReachedKnowsOnlyCells) {
  const TestObject object = heap_.New(TestKind::kBytes);
  MarkFrom({object.address});
  const Marker& marker = *heap_.marker();
  EXPECT_TRUE(marker.HasReached(object.address));
  EXPECT_TRUE(marker.HasReached(object.address + 63));
  EXPECT_FALSE(marker.HasReached(object.address + 64));
  EXPECT_FALSE(marker.HasReached(0));
  EXPECT_FALSE(marker.HasReached(UINTPTR_MAX));
  EXPECT_FALSE(marker.HasReached(heap_.pages()->highest_address() - 1));
}

TEST_F(MarkerTest, BeginStartsAnew) {
  const TestObject object = heap_.New(TestKind::kBytes);
  MarkFrom({object.address});
  MarkFrom({object.address});
  EXPECT_EQ(heap_.marker()->marked_objects(), 1);
  // Grown since the last cycle.
  const TestObject large = heap_.New(TestKind::kLargeBytes);
  MarkFrom({object.address, large.address});
  EXPECT_EQ(heap_.marker()->marked_objects(), 2);
}

}  // namespace
}  // namespace loam
