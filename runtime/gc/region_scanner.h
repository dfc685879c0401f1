// Marking a region of the heap at a time: everything in it that references wait
// for, in three steps.
//
//   CollectFresh  a bit for each cell that is referred to. Looks at the page
//                 table and span records of the region
//   MarkFresh     the mark bits, a word at a time; prefetches what is new
//   ScanFresh     what is new, in address order, a little behind MarkFresh
//
// What is found goes through the stack into the region stacks. So references of
// a heap without locality do not cost a cache miss and a TLB miss each.

#ifndef LOAM_RUNTIME_GC_REGION_SCANNER_H_
#define LOAM_RUNTIME_GC_REGION_SCANNER_H_

#include <bit>

#include "runtime/gc/mark_pool.h"
#include "runtime/gc/object_scanner.h"

namespace loam {

template <typename Decoder>
class RegionScanner : public ObjectScanner<Decoder> {
  using Base = ObjectScanner<Decoder>;

 protected:
  using Base::arenas_;
  using Base::cells_inside_;
  using Base::decode_;
  using Base::HasRoom;
  using Base::LoadLoop;
  using Base::LoadWord;
  using Base::marked_bytes_;
  using Base::marked_objects_;
  using Base::marked_regions_;
  using Base::SaveLoop;
  using Base::Scan;
  using Base::ScanPieces;
  using Base::work_;
  using typename Base::Loop;
  using typename Base::Marking;

  RegionScanner(PageHeap* page_heap, MarkWork* work,
                const ValueEncoding& encoding)
      : Base(page_heap, work, encoding) {}

  // Moves the stack's words to where they belong, and scans pieces of large
  // objects. What it leaves on the stack, for want of room in the region
  // stacks, has to wait until something else has been marked.
  __attribute__((always_inline)) void Sort(Loop* loop) {
    while (loop->top != loop->bottom) {
      const uintptr_t word = loop->top[-1];
      if (__builtin_expect((word & kPieceBit) != 0, 0)) {
        if (!work_->regions.is_spacious()) return;
        loop->top--;
        ScanPiecesInLoop(loop, word);
      } else {
        if (__builtin_expect(!work_->regions.Push(word), 0)) return;
        loop->top--;
      }
    }
  }

  void ScanPiecesInLoop(Loop* loop, uintptr_t word) {
    SaveLoop(*loop);
    ScanPieces(word & ~kPieceBit);
    *loop = LoadLoop();
  }

  // Gives what waits for other regions to those who wait for work.
  void ShareRegion(MarkPool* pool) {
    MarkBatch batch;
    RegionStacks& regions = work_->regions;
    batch.region_count = regions.Take(batch.regions, MarkBatch::kRegions);
    if (batch.region_count == 0 || pool->Give(batch)) return;
    for (size_t i = 0; i < batch.region_count; i++) {  // Too late.
      regions.Add(batch.regions[i]);
    }
  }

  // Marks and scans all that waits for the region at hand. Afterwards something
  // may wait for it again.
  template <Marking kMarking>
  __attribute__((noinline)) void MarkRegion(MarkPool* pool) {
    marked_regions_++;
    CollectFresh();
    FreshCells& fresh = work_->fresh;
    const size_t slots = fresh.slots();
    size_t scanned = 0;  // slots
    size_t ahead = 0;    // cells that are marked and not scanned
    for (size_t marked = 0; marked < slots; marked++) {
      if (fresh.span(marked) == nullptr) continue;
      ahead += MarkFresh<kMarking>(marked);
      while (ahead > kCellsAhead && scanned < marked) {
        ahead -= ScanFresh<kMarking>(scanned++);
        if (kMarking == Marking::kShared && pool->is_wanted()) {
          ShareRegion(pool);
        }
      }
    }
    while (scanned < slots) ScanFresh<kMarking>(scanned++);
  }

 private:
  // How many objects are asked for before the first is looked at: more than the
  // processor can have on their way.
  static constexpr size_t kCellsAhead = 64;

  void CollectFresh() {
    RegionStacks& regions = work_->regions;
    FreshCells& fresh = work_->fresh;
    const uintptr_t base = regions.base();
    // A region lies in one arena, or in a gap between arenas.
    const Arena* arena = arenas_.Find(base);
    if (arena == nullptr) {
      regions.TakeAll([](size_t) {});
      return;
    }
    fresh.set_region(base);
    const std::atomic<Span*>* const spans =
        &arena->spans[Arena::PageIndex(base)];
    regions.TakeAll([&](size_t offset) __attribute__((always_inline)) {
      // Relaxed: see FindSpanInRange.
      Span* span = spans[offset / kPageBytes].load(std::memory_order_relaxed);
      if (__builtin_expect(span != nullptr, 1)) fresh.Add(span, base + offset);
    });
  }

  // Marks the cells of a slot, leaves the bits of those that are to be scanned,
  // and asks for their memory; how many.
  template <Marking kMarking>
  size_t MarkFresh(size_t slot) {
    Span* const span = work_->fresh.span(slot);
    uint64_t* const fresh = work_->fresh.bits(slot);
    uint64_t* const marks = span->mark_bits;
    const bool has_references = span->scan != ScanKind::kNoscan;
    const uintptr_t base = span->base;
    const size_t cell_bytes = span->cell_bytes;
    const size_t words = BitmapWords(span->cell_count);
    size_t count = 0;
    for (size_t w = 0; w < words; w++) {
      if (fresh[w] == 0) continue;
      uint64_t bits = SetMarks<kMarking>(&marks[w], fresh[w]);
      if (!has_references) {
        fresh[w] = 0;
        count += PopCount(bits);
        continue;
      }
      fresh[w] = bits;
      for (; bits != 0; bits &= bits - 1, count++) {
        const size_t index = w * kBitsPerWord + std::countr_zero(bits);
        __builtin_prefetch(
            reinterpret_cast<const void*>(base + index * cell_bytes));
      }
    }
    marked_objects_ += count;
    marked_bytes_ += count * cell_bytes;
    if (!has_references || count == 0) {
      work_->fresh.Clear(slot);
      return 0;
    }
    work_->fresh.set_count(slot, count);
    return count;
  }

  // Those that were not set.
  template <Marking kMarking>
  static uint64_t SetMarks(uint64_t* marks, uint64_t bits) {
    uint64_t before;
    if constexpr (kMarking == Marking::kAlone) {
      before = *marks;
      *marks = before | bits;
    } else {
      const std::atomic_ref<uint64_t> shared(*marks);
      // Reading does not disturb others.
      before = shared.load(std::memory_order_relaxed);
      if ((bits & ~before) != 0) {
        before = shared.fetch_or(bits, std::memory_order_relaxed);
      }
    }
    return bits & ~before;
  }

  // Scans what MarkFresh has left of a slot; how many cells.
  template <Marking kMarking>
  size_t ScanFresh(size_t slot) {
    Span* const span = work_->fresh.span(slot);
    if (span == nullptr) return 0;
    work_->fresh.Clear(slot);
    uint64_t* const fresh = work_->fresh.bits(slot);
    const size_t words = BitmapWords(span->cell_count);
    if (span->scan == ScanKind::kMasks) {
      ScanFreshMasks<kMarking>(*span, fresh, words);
    } else {
      for (size_t w = 0; w < words; w++) {
        for (; fresh[w] != 0; fresh[w] &= fresh[w] - 1) {
          const size_t index = w * kBitsPerWord + std::countr_zero(fresh[w]);
          Scan(span, span->CellAddress(index));
        }
      }
    }
    Loop loop = LoadLoop();
    Sort(&loop);
    SaveLoop(loop);
    return work_->fresh.count(slot);
  }

  template <Marking kMarking>
  void ScanFreshMasks(const Span& span, uint64_t* fresh, size_t words) {
    const size_t references =
        PopCount(span.pointer_mask) + PopCount(span.value_mask);
    Loop loop = LoadLoop();
    for (size_t w = 0; w < words; w++) {
      const uint64_t bits = fresh[w];
      if (bits == 0) continue;
      if (!HasRoom(loop, kBitsPerWord * references)) {
        ScanRestInsideSpan<kMarking>(&loop, span, fresh, w, words);
        break;
      }
      fresh[w] = 0;
      const uintptr_t* const top = loop.top;
      const size_t inside = PushReferences(&loop, span, w, bits);
      if (inside * 4 > static_cast<size_t>(loop.top - top)) {
        ScanRestInsideSpan<kMarking>(&loop, span, fresh, w + 1, words);
        break;
      }
    }
    SaveLoop(loop);
  }

  // Here neighbours know each other, or there is little room on the stack.
  template <Marking kMarking>
  void ScanRestInsideSpan(Loop* loop, const Span& span, uint64_t* fresh,
                          size_t from, size_t words) {
    size_t count = 0;
    for (size_t w = from; w < words; w++) {
      for (; fresh[w] != 0; fresh[w] &= fresh[w] - 1) {
        cells_inside_[count++] = static_cast<uint16_t>(
            w * kBitsPerWord + std::countr_zero(fresh[w]));
      }
    }
    Base::template ScanInsideSpan<kMarking>(loop, span, count);
  }

  // Pushes the references of 64 cells' objects, those with a bit in `bits`, and
  // returns how many lead into the span. Without a branch for each: which are
  // NULL is hard to predict, and here nothing waits for memory.
  __attribute__((always_inline)) size_t PushReferences(Loop* loop,
                                                       const Span& span,
                                                       size_t word,
                                                       uint64_t bits) {
    const size_t cell_bytes = span.cell_bytes;
    const uintptr_t base = span.base;
    const size_t bytes = Base::CellsBytes(span);
    const uintptr_t first_cell = base + word * kBitsPerWord * cell_bytes;
    const uintptr_t lowest = loop->lowest;
    const uintptr_t range = loop->range;
    const uint64_t pointers = span.pointer_mask;
    const uint64_t values = span.value_mask;
    uintptr_t* top = loop->top;
    size_t inside = 0;
    const auto push = [&](uintptr_t address) __attribute__((always_inline)) {
      inside += address - base < bytes;
      *top = address;
      top += address - lowest < range;
    };
    const int first = pointers == 0 ? 0 : std::countr_zero(pointers);
    if (values == 0 && pointers >> first == 3) {
      for (; bits != 0; bits &= bits - 1) {
        const uintptr_t cell = first_cell + std::countr_zero(bits) * cell_bytes;
        push(LoadWord(cell, first));
        push(LoadWord(cell, first + 1));
      }
    } else {
      for (; bits != 0; bits &= bits - 1) {
        const uintptr_t cell = first_cell + std::countr_zero(bits) * cell_bytes;
        for (uint64_t left = pointers; left != 0; left &= left - 1) {
          push(LoadWord(cell, std::countr_zero(left)));
        }
        for (uint64_t left = values; left != 0; left &= left - 1) {
          push(decode_(LoadWord(cell, std::countr_zero(left))));
        }
      }
    }
    loop->top = top;
    return inside;
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_REGION_SCANNER_H_
