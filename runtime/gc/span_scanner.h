// Scanning many objects of one span together: those that objects of the span
// refer to, and those that neighbours in an array refer to.
//
// That is the common case in heaps whose objects were allocated in an order
// that means something, and much cheaper than one reference after the other:
// the span's record is at hand, an address needs no lookup, and nothing goes
// through the stack and the queue of marker.cc.

#ifndef LOAM_RUNTIME_GC_SPAN_SCANNER_H_
#define LOAM_RUNTIME_GC_SPAN_SCANNER_H_

#include <bit>

#include "runtime/gc/weak_scanner.h"

namespace loam {

template <typename Decoder>
class SpanScanner : public WeakScanner<Decoder> {
  using Base = WeakScanner<Decoder>;

 protected:
  using Base::decode_;
  using Base::FindSpanInRange;
  using Base::HasRoom;
  using Base::Load;
  using Base::LoadLoop;
  using Base::LoadWord;
  using Base::marked_bytes_;
  using Base::marked_objects_;
  using Base::Push;
  using Base::PushInLoop;
  using Base::PushUnchecked;
  using Base::SaveLoop;
  using typename Base::Loop;
  using typename Base::Marking;

  SpanScanner(PageHeap* page_heap, MarkWork* work,
              const ValueEncoding& encoding)
      : Base(page_heap, work, encoding) {}

  void ScanMasks(uintptr_t object, uint64_t pointers, uint64_t values) {
    for (; pointers != 0; pointers &= pointers - 1) {
      Push(LoadWord(object, std::countr_zero(pointers)));
    }
    for (; values != 0; values &= values - 1) {
      Push(decode_(LoadWord(object, std::countr_zero(values))));
    }
  }

  // Of all cells of a span. (Span::page_count lies on a cache line that marking
  // does not have.)
  static size_t CellsBytes(const Span& span) {
    return span.cell_count * span.cell_bytes;
  }

  // True if a reference leads into [base, base + bytes).
  __attribute__((always_inline)) bool ScanMasksInLoop(
      Loop* loop, uintptr_t object, uint64_t pointers, uint64_t values,
      uintptr_t base = 0, size_t bytes = 0) {
    if (__builtin_expect(!HasRoom(*loop, 2 * kBitsPerWord), 0)) {
      SaveLoop(*loop);
      ScanMasks(object, pointers, values);
      *loop = LoadLoop();
      return false;
    }
    bool leads_inside = false;
    // Two references side by side are the commonest layout of all.
    if (pointers != 0) {
      const int first = std::countr_zero(pointers);
      if (pointers >> first == 3) {
        const uintptr_t left = LoadWord(object, first);
        const uintptr_t right = LoadWord(object, first + 1);
        leads_inside = (left - base < bytes) | (right - base < bytes);
        PushUnchecked(loop, left);
        PushUnchecked(loop, right);
      } else {
        do {
          const uintptr_t address =
              LoadWord(object, std::countr_zero(pointers));
          leads_inside |= address - base < bytes;
          PushUnchecked(loop, address);
          pointers &= pointers - 1;
        } while (pointers != 0);
      }
    }
    while (values != 0) {
      const uintptr_t address =
          decode_(LoadWord(object, std::countr_zero(values)));
      leads_inside |= address - base < bytes;
      PushUnchecked(loop, address);
      values &= values - 1;
    }
    return leads_inside;
  }

  // Scans a marked object of a span with masks, and what it leads to inside.
  template <Marking kMarking>
  __attribute__((always_inline)) void ScanCell(Loop* loop, const Span& span,
                                               uint32_t index) {
    uintptr_t* const top = loop->top;
    if (ScanMasksInLoop(loop, span.CellAddress(index), span.pointer_mask,
                        span.value_mask, span.base, CellsBytes(span))) {
      loop->top = top;
      cells_inside_[0] = static_cast<uint16_t>(index);
      ScanInsideSpan<kMarking>(loop, span, 1);
    }
  }

  // Scans marked objects of a span with masks, the first `count` cells in
  // cells_inside_, and everything that they lead to inside the span: there one
  // has the span's record at hand, and knows where a reference leads without
  // looking it up. The oldest comes first, having been prefetched.
  //
  // Not inlined, with copies of what it uses: it takes all the registers.
  template <Marking kMarking>
  __attribute__((noinline)) void ScanInsideSpan(Loop* loop, const Span& span,
                                                size_t count) {
    const uintptr_t base = span.base;
    const size_t cell_bytes = span.cell_bytes;
    const size_t bytes = CellsBytes(span);
    const uint64_t magic = span.divide_magic;
    const uint64_t pointer_mask = span.pointer_mask;
    const uint64_t value_mask = span.value_mask;
    const uintptr_t lowest = loop->lowest;
    const uintptr_t range = loop->range;
    uintptr_t* top = loop->top;
    // No cell comes twice, so there is room for all.
    uint16_t* const queue = cells_inside_;
    size_t tail = count;
    WordOfMarks<kMarking> marks(span.mark_bits);
    const auto visit = [&](uintptr_t address) __attribute__((always_inline)) {
      const uintptr_t offset = address - base;
      if (offset >= bytes) {
        if (address - lowest < range) *top++ = address;
        return;
      }
      const size_t index = (offset * magic) >> 32;
      if (!marks.Set(index)) return;
      __builtin_prefetch(reinterpret_cast<const void*>(address));
      queue[tail++] = static_cast<uint16_t>(index);
    };
    // Two references side by side are the commonest layout of all.
    const int first = pointer_mask == 0 ? 0 : std::countr_zero(pointer_mask);
    const bool is_pair = value_mask == 0 && pointer_mask >> first == 3;
    for (size_t head = 0; head != tail; head++) {
      const uintptr_t cell = base + queue[head] * cell_bytes;
      if (__builtin_expect(
              static_cast<size_t>(loop->limit - top) <= 2 * kBitsPerWord, 0)) {
        loop->top = top;
        SaveLoop(*loop);
        ScanMasks(cell, pointer_mask, value_mask);
        *loop = LoadLoop();
        top = loop->top;
      } else if (is_pair) {
        visit(LoadWord(cell, first));
        visit(LoadWord(cell, first + 1));
      } else {
        for (uint64_t left = pointer_mask; left != 0; left &= left - 1) {
          visit(LoadWord(cell, std::countr_zero(left)));
        }
        for (uint64_t left = value_mask; left != 0; left &= left - 1) {
          visit(decode_(LoadWord(cell, std::countr_zero(left))));
        }
      }
    }
    loop->top = top;
    const size_t marked = tail - count - marks.Finish();
    loop->marked_objects += marked;
    loop->marked_bytes += marked * cell_bytes;
  }

  // Every word in [from, to), the last first.
  void ScanPointers(uintptr_t from, uintptr_t to) {
    ScanWords(from, to, [](uintptr_t word) { return word; });
  }
  void ScanValues(uintptr_t from, uintptr_t to) {
    ScanWords(from, to, [this](uintptr_t word) { return decode_(word); });
  }
  template <typename Decode>
  void ScanWords(uintptr_t from, uintptr_t to, Decode&& decode) {
    if (marks_together_) {
      ScanWordsAs<Marking::kShared>(from, to, decode);
    } else {
      ScanWordsAs<Marking::kAlone>(from, to, decode);
    }
  }

  // Neighbours in an array are often neighbours in the heap, having been made
  // together. As long as they are, their span is looked up once.
  template <Marking kMarking, typename Decode>
  void ScanWordsAs(uintptr_t from, uintptr_t to, Decode&& decode) {
    Loop loop = LoadLoop();
    uintptr_t previous = 0;
    for (uintptr_t slot = to; slot != from;) {
      const uintptr_t address = decode(Load(slot - kWordBytes));
      if ((address ^ previous) < kPageBytes &&
          address - loop.lowest < loop.range) {
        SaveLoop(loop);
        const uintptr_t left = MarkNeighbours<kMarking>(from, slot, decode);
        loop = LoadLoop();
        previous = 0;
        if (left != slot) {
          slot = left;
          continue;
        }
      }
      slot -= kWordBytes;
      previous = address;
      PushInLoop(&loop, address);
    }
    SaveLoop(loop);
  }

  // Marks and scans what the last words of [from, to) refer to, as long as that
  // is in one span; where it stopped.
  template <Marking kMarking, typename Decode>
  uintptr_t MarkNeighbours(uintptr_t from, uintptr_t to, Decode&& decode) {
    const Span* span = FindSpanInRange(decode(Load(to - kWordBytes)));
    if (span == nullptr ||
        (span->scan != ScanKind::kNoscan && span->scan != ScanKind::kMasks)) {
      return to;
    }
    const bool has_references = span->scan == ScanKind::kMasks;
    const uintptr_t base = span->base;
    const size_t bytes = CellsBytes(*span);
    size_t count = 0;
    WordOfMarks<kMarking> marks(span->mark_bits);
    uintptr_t slot = to;
    for (; slot != from; slot -= kWordBytes) {
      const uintptr_t address = decode(Load(slot - kWordBytes));
      if (address - base >= bytes) break;
      const uint32_t index = span->CellIndex(address);
      if (!marks.Set(index)) continue;
      if (has_references) {
        __builtin_prefetch(reinterpret_cast<const void*>(address));
        cells_inside_[count] = static_cast<uint16_t>(index);
      }
      count++;
    }
    const size_t marked = count - marks.Finish();
    marked_objects_ += marked;
    marked_bytes_ += marked * span->cell_bytes;
    if (has_references) {
      Loop loop = LoadLoop();
      ScanInsideSpan<kMarking>(&loop, *span, count);
      SaveLoop(loop);
    }
    return slot;
  }

  // Whether other markers mark at the same time.
  bool marks_together_ = false;

  // Of ScanInsideSpan: cells of the span that are marked; those from its head
  // on have not been scanned.
  uint16_t cells_inside_[kMaxSpanCells];

 private:
  // The mark bits of a span for one who sets many of them. An atomic operation
  // for each would cost more than all the rest, so several markers set them a
  // word at a time: the one at hand is published when the next one is wanted.
  // Until then another marker may set the same bits, and both scan the objects:
  // that is harmless, but they are to be counted once.
  template <Marking kMarking>
  class WordOfMarks {
   public:
    explicit WordOfMarks(uint64_t* mark_bits) : mark_bits_(mark_bits) {}

    // False if it is set, as far as one can see.
    __attribute__((always_inline)) bool Set(size_t index) {
      if constexpr (kMarking == Marking::kAlone) {
        return Base::template SetMark<kMarking>(mark_bits_, index);
      }
      uint64_t* const word = &mark_bits_[index / kBitsPerWord];
      const uint64_t bit = uint64_t{1} << (index % kBitsPerWord);
      if (word != word_) {
        Publish();
        word_ = word;
        seen_ =
            std::atomic_ref<uint64_t>(*word).load(std::memory_order_relaxed);
      }
      if (((seen_ | fresh_) & bit) != 0) return false;
      fresh_ |= bit;
      return true;
    }

    // How many of those that were set others had set too.
    size_t Finish() {
      Publish();
      return set_twice_;
    }

   private:
    void Publish() {
      if (fresh_ == 0) return;
      const uint64_t before = std::atomic_ref<uint64_t>(*word_).fetch_or(
          fresh_, std::memory_order_relaxed);
      set_twice_ += PopCount(before & fresh_);
      fresh_ = 0;
    }

    uint64_t* const mark_bits_;
    uint64_t* word_ = nullptr;
    uint64_t seen_ = 0;   // of word_
    uint64_t fresh_ = 0;  // set, not yet published
    size_t set_twice_ = 0;
  };
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_SPAN_SCANNER_H_
