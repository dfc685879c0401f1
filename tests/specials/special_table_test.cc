#include "runtime/specials/special_table.h"

#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/heap/page_heap.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kCellBytes = 64;

void Finalize(loam_mutator*, void*, void*) {}
void FinalizeOtherwise(loam_mutator*, void*, void*) {}

class SpecialTableTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(heap_.Initialize());
    span_ = NewSpan();
    ASSERT_NE(span_, nullptr);
  }

  Span* NewSpan() {
    SpanShape shape = {};
    shape.kind = SpanKind::kNoscan;
    shape.scan = ScanKind::kNoscan;
    shape.cell_bytes = kCellBytes;
    shape.pages = 1;
    Span* span = heap_.AllocateSpan(shape, 4, true);
    if (span != nullptr) span->set_free_index(span->cell_count);
    return span;
  }

  uintptr_t Cell(size_t index) const { return span_->CellAddress(index); }
  Status Set(size_t index, void* data = nullptr) {
    return table_.SetFinalizer(span_, Cell(index), {Finalize, data});
  }
  Status Clear(size_t index) {
    return table_.ClearFinalizer(span_, Cell(index));
  }
  void Mark(size_t index) { SetBit(span_->mark_bits, index); }

  // The cells with finalizers, in the list's order.
  std::vector<size_t> Listed() {
    std::vector<size_t> cells;
    table_.ForEach(span_, [&](const Special& special) {
      EXPECT_EQ(special.kind, SpecialKind::kFinalizer);
      EXPECT_EQ((special.address - span_->base) % kCellBytes, 0);
      cells.push_back((special.address - span_->base) / kCellBytes);
    });
    return cells;
  }
  bool PageBit() const {
    const Arena* arena = heap_.arena_map().Find(span_->base);
    const size_t page = Arena::PageIndex(span_->base);
    return (arena->page_specials[page / 64].load() >> (page % 64) & 1) != 0;
  }
  // The cells of everything queued, in order.
  std::vector<size_t> DrainQueue() {
    std::vector<size_t> cells;
    while (Special* special = table_.finalizer_queue()->Pop()) {
      cells.push_back(
          (reinterpret_cast<uintptr_t>(special->object()) - span_->base) /
          kCellBytes);
      table_.FreeRecord(special);
    }
    return cells;
  }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  PageHeap heap_{&ledger_, &persistent_, {}};
  SpecialTable table_{&persistent_, &heap_};
  Span* span_ = nullptr;
};

using Cells = std::vector<size_t>;

TEST_F(SpecialTableTest, StaysSortedInAnyOrderOfInsertion) {
  const std::vector<Cells> orders = {{0, 1, 2, 3, 4, 5},
                                     {5, 4, 3, 2, 1, 0},
                                     {3, 0, 5, 1, 4, 2},
                                     {2, 3, 1, 4, 0, 5}};
  for (const Cells& order : orders) {
    for (const size_t cell : order) EXPECT_EQ(Set(cell), Status::kOk);
    EXPECT_EQ(Listed(), (Cells{0, 1, 2, 3, 4, 5}));
    for (const size_t cell : order) EXPECT_EQ(Clear(cell), Status::kOk);
    EXPECT_TRUE(Listed().empty());
  }
}

TEST_F(SpecialTableTest, OneFinalizerPerObject) {
  int first = 0;
  int second = 0;
  EXPECT_EQ(Set(7, &first), Status::kOk);
  EXPECT_EQ(Set(9), Status::kOk);
  EXPECT_EQ(table_.SetFinalizer(span_, Cell(7), {FinalizeOtherwise, &second}),
            Status::kWrongState);
  EXPECT_EQ(table_.finalizers_set(), 2);
  EXPECT_EQ(Listed(), (Cells{7, 9}));
  table_.SweepSpecials(span_);
  const Special* special = table_.finalizer_queue()->Pop();
  ASSERT_NE(special, nullptr);
  EXPECT_EQ(special->finalizer.function, Finalize) << "the first one stays";
  EXPECT_EQ(special->finalizer.data, &first);
}

TEST_F(SpecialTableTest, ClearedFinalizersAreGone) {
  EXPECT_EQ(Clear(3), Status::kNotFound);
  EXPECT_EQ(Set(3), Status::kOk);
  EXPECT_EQ(Clear(2), Status::kNotFound);
  EXPECT_EQ(Clear(4), Status::kNotFound);
  EXPECT_TRUE(table_.HasFinalizer(span_, Cell(3)));
  EXPECT_FALSE(table_.HasFinalizer(span_, Cell(2)));
  EXPECT_FALSE(table_.HasFinalizer(span_, Cell(4)));
  EXPECT_EQ(Clear(3), Status::kOk);
  EXPECT_EQ(Clear(3), Status::kNotFound);
  EXPECT_FALSE(table_.HasFinalizer(span_, Cell(3)));
  EXPECT_EQ(table_.finalizers_set(), 0);
  EXPECT_EQ(Set(3), Status::kOk) << "may be set again";
}

// The heap's size includes them until their finalizers have been taken.
TEST_F(SpecialTableTest, RecordsAreCounted) {
  const Counter& bytes = *heap_.record_bytes();
  EXPECT_EQ(bytes.Get(), 0);
  for (size_t i = 0; i < 4; i++) ASSERT_EQ(Set(i), Status::kOk);
  EXPECT_EQ(Set(2), Status::kWrongState);
  const uint64_t four = bytes.Get();
  EXPECT_GE(four, 4 * SpecialBytes(1));
  EXPECT_LE(four, 4 * SpecialBytes(Special::kMaxHeight) + sizeof(SpecialIndex) +
                      4 * sizeof(Special*));
  EXPECT_EQ(Clear(1), Status::kOk);
  const uint64_t three = bytes.Get();
  EXPECT_LE(three, four - SpecialBytes(1));
  Mark(3);
  table_.SweepSpecials(span_);
  EXPECT_EQ(bytes.Get(), three) << "queued ones too";
  EXPECT_EQ(DrainQueue(), (Cells{0, 2}));
  EXPECT_LE(bytes.Get(), three - 2 * SpecialBytes(1));
  EXPECT_EQ(Clear(3), Status::kOk);
  EXPECT_EQ(bytes.Get(), 0);
}

TEST_F(SpecialTableTest, PageBitTellsWhetherThereAreSpecials) {
  EXPECT_FALSE(PageBit());
  EXPECT_EQ(Set(1), Status::kOk);
  EXPECT_TRUE(PageBit());
  EXPECT_EQ(Set(2), Status::kOk);
  EXPECT_EQ(Clear(1), Status::kOk);
  EXPECT_TRUE(PageBit());
  EXPECT_EQ(Clear(2), Status::kOk);
  EXPECT_FALSE(PageBit());
  EXPECT_EQ(Set(5), Status::kOk);
  table_.SweepSpecials(span_);
  EXPECT_FALSE(PageBit()) << "the last one was queued";
}

TEST_F(SpecialTableTest, SweepResurrectsTheDeadAndQueuesThemInOrder) {
  for (const size_t cell : {10, 3, 7, 1, 90, 50}) {
    ASSERT_EQ(Set(cell), Status::kOk);
  }
  Mark(3);
  Mark(50);
  Mark(51);  // Alive, without a finalizer.
  table_.SweepSpecials(span_);
  EXPECT_EQ(Listed(), (Cells{3, 50}));
  for (const size_t cell : {1, 3, 7, 10, 50, 51, 90}) {
    EXPECT_TRUE(span_->IsMarked(cell)) << cell;
  }
  EXPECT_EQ(CountSet(span_->mark_bits, 0, span_->cell_count), 7);
  EXPECT_TRUE(PageBit());
  EXPECT_EQ(table_.finalizers_set(), 2);
  EXPECT_EQ(table_.finalizer_queue()->size(), 4);
  EXPECT_EQ(DrainQueue(), (Cells{1, 7, 10, 90}));
  // Insertion still works where the sweep has cut the list.
  ASSERT_EQ(Set(90), Status::kOk);
  ASSERT_EQ(Set(0), Status::kOk);
  ASSERT_EQ(Set(20), Status::kOk);
  EXPECT_EQ(Listed(), (Cells{0, 3, 20, 50, 90}));
}

TEST_F(SpecialTableTest, SweepWithoutSpecialsChangesNothing) {
  Mark(4);
  table_.SweepSpecials(span_);
  EXPECT_EQ(CountSet(span_->mark_bits, 0, span_->cell_count), 1);
  EXPECT_EQ(table_.finalizer_queue()->size(), 0);
}

TEST_F(SpecialTableTest, RecordsAreReused) {
  for (int round = 0; round < 3; round++) {
    for (size_t cell = 0; cell < 100; cell++) {
      ASSERT_EQ(Set(cell), Status::kOk);
    }
    table_.SweepSpecials(span_);
    EXPECT_EQ(DrainQueue().size(), 100);
    ClearBitRange(span_->mark_bits, 0, span_->cell_count);
  }
  const uint64_t committed = ledger_.committed();
  for (int round = 0; round < 1000; round++) {
    for (size_t cell = 0; cell < 100; cell++) {
      ASSERT_EQ(Set(cell), Status::kOk);
      ASSERT_EQ(Set(cell), Status::kWrongState);
    }
    for (size_t cell = 0; cell < 100; cell++) {
      ASSERT_EQ(Clear(cell), Status::kOk);
    }
  }
  // One or the other round needs more tall ones.
  EXPECT_LE(ledger_.committed(), committed + (64 << 10));
  EXPECT_EQ(heap_.record_bytes()->Get(), 0);
}

TEST_F(SpecialTableTest, OutOfMemoryAddsNothing) {
  std::vector<Span*> spans;
  spans.reserve(100);
  for (int i = 0; i < 100; i++) spans.push_back(NewSpan());
  // What pool and allocator still have is used up first.
  ledger_.set_limit(ledger_.committed());
  size_t set = 0;
  Status last = Status::kOk;
  for (size_t i = 0; i < spans.size() * 100 && last == Status::kOk; i++) {
    span_ = spans[i / 100];
    last = Set(i % 100);
    if (last == Status::kOk) set++;
  }
  EXPECT_EQ(last, Status::kOutOfMemory);
  EXPECT_EQ(table_.finalizers_set(), set);
  const size_t failed = set % 100;
  EXPECT_FALSE(table_.HasFinalizer(span_, Cell(failed)));
  EXPECT_EQ(Listed().size(), failed);
  EXPECT_EQ(PageBit(), failed != 0);
  ledger_.set_limit(UINT64_MAX);
  EXPECT_EQ(Set(failed), Status::kOk);
}

TEST_F(SpecialTableTest, PinsNest) {
  EXPECT_EQ(table_.Unpin(span_, Cell(3)), Status::kNotFound);
  ASSERT_EQ(Set(3), Status::kOk);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(table_.Pin(span_, Cell(3)), Status::kOk);
    EXPECT_EQ(table_.pinned_objects(), 1);
  }
  ASSERT_EQ(table_.Pin(span_, Cell(4)), Status::kOk);
  EXPECT_EQ(table_.pinned_objects(), 2);
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(table_.pinned_objects(), 2);
    ASSERT_EQ(table_.Unpin(span_, Cell(3)), Status::kOk);
  }
  EXPECT_EQ(table_.pinned_objects(), 1);
  EXPECT_EQ(table_.Unpin(span_, Cell(3)), Status::kNotFound);
  EXPECT_TRUE(table_.HasFinalizer(span_, Cell(3)));
  EXPECT_EQ(Clear(3), Status::kOk);
  EXPECT_TRUE(PageBit());
  EXPECT_EQ(table_.Unpin(span_, Cell(4)), Status::kOk);
  EXPECT_FALSE(PageBit());
  EXPECT_EQ(heap_.record_bytes()->Get(), 0);
}

TEST_F(SpecialTableTest, RandomOperationsAgreeWithASet) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  std::set<size_t> model;
  for (int i = 0; i < 5000 && !HasFailure(); i++) {
    SCOPED_TRACE(i);
    const size_t cell = random.Below(span_->cell_count);
    const size_t choice = random.Below(100);
    if (choice < 55) {
      EXPECT_EQ(Set(cell),
                model.insert(cell).second ? Status::kOk : Status::kWrongState);
    } else if (choice < 90) {
      EXPECT_EQ(Clear(cell),
                model.erase(cell) == 1 ? Status::kOk : Status::kNotFound);
    } else if (choice < 98) {
      EXPECT_EQ(table_.HasFinalizer(span_, Cell(cell)), model.count(cell) == 1);
    } else {
      Cells dead;
      ClearBitRange(span_->mark_bits, 0, span_->cell_count);
      for (size_t c = 0; c < span_->cell_count; c++) {
        if (random.OneIn(3)) {
          if (model.erase(c) == 1) dead.push_back(c);
        } else {
          Mark(c);
        }
      }
      table_.SweepSpecials(span_);
      EXPECT_EQ(DrainQueue(), dead);
      for (const size_t c : dead) EXPECT_TRUE(span_->IsMarked(c));
    }
    EXPECT_EQ(Listed(), Cells(model.begin(), model.end()));
    EXPECT_EQ(PageBit(), !model.empty());
    EXPECT_EQ(table_.finalizers_set(), model.size());
  }
}

}  // namespace
}  // namespace loam
