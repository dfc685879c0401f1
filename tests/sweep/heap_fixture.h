// A heap up to the sweeper, without collector: tests set the mark bits by hand.

#ifndef LOAM_TESTS_SWEEP_HEAP_FIXTURE_H_
#define LOAM_TESTS_SWEEP_HEAP_FIXTURE_H_

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_heap.h"
#include "runtime/heap/size_classes.h"
#include "runtime/specials/special_table.h"
#include "runtime/sweep/central_span_list.h"
#include "runtime/sweep/span_source.h"
#include "runtime/sweep/sweeper.h"

namespace loam {

class HeapFixture {
 public:
  explicit HeapFixture(bool poison = false)
      : sweeper_(&pages_, &specials_, &counters_, poison) {
    EXPECT_TRUE(pages_.Initialize());
  }
  HeapFixture(const HeapFixture&) = delete;
  HeapFixture& operator=(const HeapFixture&) = delete;

  MemoryLedger* ledger() { return &ledger_; }
  PageHeap* pages() { return &pages_; }
  SpecialTable* specials() { return &specials_; }
  HeapCounters* counters() { return &counters_; }
  Sweeper* sweeper() { return &sweeper_; }
  SpanSource* source() { return &source_; }

  // Spans of cells of this size, without references.
  static SpanShape Shape(size_t cell_bytes, CentralSpanList* central) {
    SpanShape shape = {};
    shape.kind = SpanKind::kNoscan;
    shape.scan = ScanKind::kNoscan;
    shape.cell_bytes = cell_bytes;
    shape.pages = static_cast<uint32_t>(SpanPagesForCell(cell_bytes));
    shape.central = central;
    return shape;
  }
  // Spans of one object.
  static SpanShape LargeShape(size_t pages, CentralSpanList* central) {
    SpanShape shape = {};
    shape.kind = SpanKind::kLarge;
    shape.scan = ScanKind::kNoscan;
    shape.pages = static_cast<uint32_t>(pages);
    shape.cell_bytes = pages * kPageBytes;
    shape.central = central;
    return shape;
  }

  Span* Acquire(const SpanShape& shape) {
    return source_.Acquire(shape, MayGrow::kYes);
  }

  // What an allocation cursor does, one cell at a time: the index of the next
  // free cell of a cached span, or cell_count.
  static size_t TakeCell(Span* span) {
    const size_t index = FindFirstClear(span->alloc_bits(), span->free_index(),
                                        span->cell_count);
    if (index != span->cell_count) span->set_free_index(index + 1);
    return index;
  }
  // Takes every free cell; how many there were.
  static size_t TakeAllCells(Span* span) {
    size_t count = 0;
    while (TakeCell(span) != span->cell_count) count++;
    return count;
  }

  static void Mark(Span* span, size_t index) { SetBit(span->mark_bits, index); }

  // One cycle: everything is swept, mark(), and everything needs sweeping
  // again. As a cycle does, accounts for what mark() says is alive: it returns
  // bytes.
  template <typename MarkAll>
  void Cycle(MarkAll&& mark) {
    sweeper_.SweepAll();
    pages_.gc_bits()->NextEpoch();
    const uint64_t marked = mark();
    sweeper_.NextGeneration();
    counters_.allocated_bytes.Add(counters_.live_estimate.Get() -
                                  counters_.marked_bytes.Get());
    counters_.live_estimate.Set(marked);
    counters_.marked_bytes.Set(marked);
  }
  void CycleThatMarksNothing() {
    Cycle([] { return uint64_t{0}; });
  }

  // Bytes handed out so far, less what came back.
  uint64_t AllocatedBytes() const {
    return counters_.allocated_bytes.Get() + counters_.live_estimate.Get() -
           counters_.marked_bytes.Get();
  }

  SweepState StateOf(const Span* span) const {
    return SweepStateOf(span->sweepgen.load(), sweeper_.generation());
  }

  // Fails the test at the first invariant that does not hold.
  void Check() {
    char problem[256] = "";
    ASSERT_TRUE(pages_.CheckInvariants(problem, sizeof(problem))) << problem;
  }

 private:
  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  PageHeap pages_{&ledger_, &persistent_, {}};
  SpecialTable specials_{&persistent_, &pages_};
  HeapCounters counters_;
  Sweeper sweeper_;
  SpanSource source_{&pages_, &sweeper_, &counters_};
};

}  // namespace loam

#endif  // LOAM_TESTS_SWEEP_HEAP_FIXTURE_H_
