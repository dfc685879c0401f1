// Where the references of objects are, and the stack they go onto: the part of
// a marker that does not decide what comes next (that is marker.cc).
//
// A template over the heap's value encoding, so that decoding a value is
// inlined.

#ifndef LOAM_RUNTIME_GC_OBJECT_SCANNER_H_
#define LOAM_RUNTIME_GC_OBJECT_SCANNER_H_

#include <algorithm>
#include <atomic>
#include <bit>

#include "runtime/gc/marker.h"

namespace loam {

// Objects above this are scanned in pieces of it.
constexpr size_t kPieceBytes = 128 << 10;

// A stack word with this bit is not a reference but the address at which to go
// on scanning a large object (which ScanObject does not mark).
constexpr uintptr_t kPieceBit = uintptr_t{1} << 63;

template <typename Decoder>
class ObjectScanner : public Marker {
 public:
  void VisitValue(uintptr_t word) override { Push(decode_(word)); }
  void VisitPointer(uintptr_t address) override { Push(address); }
  void VisitAmbiguous(uintptr_t word) override {
    const Span* span = FindSpan(word);
    if (span == nullptr) return;
    const size_t index = span->CellIndex(word);
    // Free cells are no objects: marking one would make it a zombie.
    if (index < span->cell_count && span->IsAllocated(index)) Push(word);
  }

  void ScanObject(Span* span, uintptr_t cell) override { Scan(span, cell); }

 protected:
  ObjectScanner(PageHeap* page_heap, MarkStack* stack,
                const ValueEncoding& encoding)
      : Marker(page_heap, stack),
        arenas_(page_heap->arena_map()),
        decode_(encoding) {}

  // Alone on the heap, or beside other markers.
  enum class Marking { kAlone, kShared };

  // The address lies in [lowest_, lowest_ + range_); kPieceBit does no harm.
  Span* FindSpanInRange(uintptr_t address) const {
    const Arena* arena = table_ != nullptr
                             ? table_[ArenaMap::TableIndex(address)].load(
                                   std::memory_order_relaxed)
                             : arenas_.Find(address & ~kPieceBit);
    if (__builtin_expect(arena == nullptr, 0)) return nullptr;
    // Relaxed: the stop has synchronised the spans' publication.
    return arena->spans[Arena::PageIndex(address)].load(
        std::memory_order_relaxed);
  }

  Span* FindSpan(uintptr_t address) const {
    return address - lowest_ < range_ ? FindSpanInRange(address) : nullptr;
  }

  void Push(uintptr_t address) {
    if (address - lowest_ >= range_) return;  // 0 included
    if (__builtin_expect(!stack_->Push(address), 0)) MarkForRescan(address);
  }

  // Sets a bit; false if it was set.
  template <Marking kMarking>
  static bool SetMark(uint64_t* word, uint64_t bit) {
    if constexpr (kMarking == Marking::kAlone) {
      const uint64_t marks = *word;
      if ((marks & bit) != 0) return false;
      *word = marks | bit;
      return true;
    } else {
      const std::atomic_ref<uint64_t> marks(*word);
      // Most references lead to what is marked: reading does not disturb
      // others.
      if ((marks.load(std::memory_order_relaxed) & bit) != 0) return false;
      return (marks.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
    }
  }

  // Off the inner loop, so it does not ask whether others mark too.
  bool Mark(Span* span, size_t index) {
    if (!SetMark<Marking::kShared>(&span->mark_bits[index / kBitsPerWord],
                                   uint64_t{1} << (index % kBitsPerWord))) {
      return false;
    }
    marked_bytes_ += span->cell_bytes;
    marked_objects_++;
    return true;
  }

  // The stack is full: remember the object by its mark bit and its span.
  void MarkForRescan(uintptr_t address) {
    Span* span = FindSpan(address);
    if (span == nullptr) return;
    const size_t index = span->CellIndex(address);
    if (index >= span->cell_count || !Mark(span, index)) return;
    if (span->scan == ScanKind::kNoscan) return;
    span->needs_rescan.store(true, std::memory_order_relaxed);
    some_span_needs_rescan_ = true;
  }

  // The state of the inner loop, kept in registers: nothing it stores to the
  // heap, the stack or mark bits can alias it. Saved before and loaded after
  // everything that is not inlined.
  struct Loop {
    uintptr_t* top;
    uintptr_t* bottom;
    uintptr_t* limit;
    uintptr_t lowest;
    uintptr_t range;
    uint64_t marked_bytes;
    uint64_t marked_objects;
  };
  void SaveLoop(const Loop& loop) {
    stack_->set_top(loop.top);
    marked_bytes_ = loop.marked_bytes;
    marked_objects_ = loop.marked_objects;
  }
  Loop LoadLoop() const {
    return {stack_->top(), stack_->bottom(), stack_->limit(), lowest_,
            range_,        marked_bytes_,    marked_objects_};
  }

  void PushInLoop(Loop* loop, uintptr_t address) {
    if (address - loop->lowest >= loop->range) return;
    if (__builtin_expect(loop->top != loop->limit, 1)) {
      *loop->top++ = address;
      return;
    }
    SaveLoop(*loop);
    Push(address);
    *loop = LoadLoop();
  }

  // Whether `words` pushes need not look at the limit.
  static bool HasRoom(const Loop& loop, size_t words) {
    return static_cast<size_t>(loop.limit - loop.top) > words;
  }

  // Needs HasRoom. (Storing always and moving the top by a condition, without a
  // branch, was measured: the top then waits for every field's load, which
  // costs more than the mispredicted NULLs.)
  __attribute__((always_inline)) static void PushUnchecked(Loop* loop,
                                                           uintptr_t address) {
    if (address - loop->lowest < loop->range) *loop->top++ = address;
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

  // Scans a marked object of a span with masks.
  template <Marking kMarking>
  __attribute__((always_inline)) void ScanInSpan(Loop* loop, const Span& span,
                                                 uintptr_t cell) {
    uintptr_t* const top = loop->top;
    if (ScanMasksInLoop(loop, cell, span.pointer_mask, span.value_mask,
                        span.base, span.bytes())) {
      loop->top = top;
      FollowInsideSpan<kMarking>(loop, span, cell);
    }
  }

  // Scans a marked object of a span with masks, and everything that it leads to
  // inside the span: there one has the span's record at hand, and knows where
  // a reference leads without looking it up. The oldest comes first, having
  // been prefetched.
  //
  // Not inlined, with copies of what it uses: it takes all the registers.
  template <Marking kMarking>
  __attribute__((noinline)) void FollowInsideSpan(Loop* loop, const Span& span,
                                                  uintptr_t cell) {
    const uintptr_t base = span.base;
    const size_t cell_bytes = span.cell_bytes;
    const size_t bytes = span.cell_count * cell_bytes;
    const uint64_t magic = span.divide_magic;
    uint64_t* const marks = span.mark_bits;
    const uint64_t pointer_mask = span.pointer_mask;
    const uint64_t value_mask = span.value_mask;
    const uintptr_t lowest = loop->lowest;
    const uintptr_t range = loop->range;
    uintptr_t* top = loop->top;
    // No cell comes twice, so there is room for all.
    uint16_t* const queue = cells_inside_;
    size_t head = 0;
    size_t tail = 0;
    const auto visit = [&](uintptr_t address) __attribute__((always_inline)) {
      const uintptr_t offset = address - base;
      if (offset >= bytes) {
        if (address - lowest < range) *top++ = address;
        return;
      }
      const size_t index = (offset * magic) >> 32;
      if (!SetMark<kMarking>(&marks[index / kBitsPerWord],
                             uint64_t{1} << (index % kBitsPerWord))) {
        return;
      }
      __builtin_prefetch(reinterpret_cast<const void*>(address));
      queue[tail++] = static_cast<uint16_t>(index);
    };
    // Two references side by side are the commonest layout of all.
    const int first = pointer_mask == 0 ? 0 : std::countr_zero(pointer_mask);
    const bool is_pair = value_mask == 0 && pointer_mask >> first == 3;
    for (;;) {
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
      if (head == tail) break;
      cell = base + queue[head++] * cell_bytes;
    }
    loop->top = top;
    loop->marked_objects += tail;
    loop->marked_bytes += tail * cell_bytes;
  }

  static uintptr_t Load(uintptr_t slot) {
    return *reinterpret_cast<const uintptr_t*>(slot);
  }

  static uintptr_t LoadWord(uintptr_t object, size_t index) {
    return Load(object + index * kWordBytes);
  }

  void VisitSlot(WordKind kind, uintptr_t slot) {
    const uintptr_t word = Load(slot);
    if (kind == WordKind::kPointer) {
      Push(word);
    } else if (kind == WordKind::kValue) {
      Push(decode_(word));
    } else {
      VisitAmbiguous(word);
    }
  }

  void ScanMasks(uintptr_t object, uint64_t pointers, uint64_t values) {
    for (; pointers != 0; pointers &= pointers - 1) {
      Push(LoadWord(object, std::countr_zero(pointers)));
    }
    for (; values != 0; values &= values - 1) {
      Push(decode_(LoadWord(object, std::countr_zero(values))));
    }
  }

  void Scan(Span* span, uintptr_t cell) {
    switch (span->scan) {
      case ScanKind::kMasks:
        ScanMasks(cell, span->pointer_mask, span->value_mask);
        return;
      case ScanKind::kHeaded: {
        const Type* type = *span->TypeWord(cell);
        if (type != nullptr) {
          ScanTyped(type, type->scan, cell, cell + span->object_bytes());
        }
        return;
      }
      case ScanKind::kBitmap:
        ScanSpanBitmap(span, cell);
        return;
      default:
        if (span->object_bytes() > kPieceBytes) {
          ScanPieces(cell);
        } else {
          ScanTyped(span->type, span->scan, cell, cell + span->object_bytes());
        }
    }
  }

  // Every word in [from, to), the last first.
  void ScanPointers(uintptr_t from, uintptr_t to) {
    Loop loop = LoadLoop();
    for (uintptr_t slot = to; slot != from;) {
      slot -= kWordBytes;
      PushInLoop(&loop, Load(slot));
    }
    SaveLoop(loop);
  }
  void ScanValues(uintptr_t from, uintptr_t to) {
    Loop loop = LoadLoop();
    for (uintptr_t slot = to; slot != from;) {
      slot -= kWordBytes;
      PushInLoop(&loop, decode_(Load(slot)));
    }
    SaveLoop(loop);
  }

  // An object of a type, or one without (NULL) whose scan kind says enough.
  void ScanTyped(const Type* type, ScanKind scan, uintptr_t object,
                 uintptr_t end) {
    if (scan == ScanKind::kMasks) {
      ScanMasks(object, type->pointer_mask, type->value_mask);
    } else if (scan == ScanKind::kCallback) {
      type->trace(this, reinterpret_cast<void*>(object), end - object);
    } else {
      ScanRange(type, scan, object, end, object, end);
    }
  }

  // The slots in [from, to) of an object that occupies [object, end).
  void ScanRange(const Type* type, ScanKind scan, uintptr_t object,
                 uintptr_t end, uintptr_t from, uintptr_t to) {
    switch (scan) {
      case ScanKind::kValues:
        ScanValues(from, to);
        break;
      case ScanKind::kLayout:
        if (type->element_kind != WordKind::kData && to > object + type->size) {
          // Most arrays: all there is behind the fixed part is references.
          const uintptr_t tail = std::max(object + type->size, from);
          if (type->element_kind == WordKind::kPointer) {
            ScanPointers(tail, to);
          } else {
            ScanValues(tail, to);
          }
          to = tail;
          if (from == to) break;
        }
        ForEachLayoutSlot(
            *type, object, end, from, to,
            [this](WordKind kind, uintptr_t slot) { VisitSlot(kind, slot); });
        break;
      case ScanKind::kCellBitmap:
        ScanCellBitmap(object, end, from, to);
        break;
      case ScanKind::kMasks:
        ScanMasks(object, type->pointer_mask, type->value_mask);
        break;
      case ScanKind::kCallback:
        if (from == object) {
          type->trace(this, reinterpret_cast<void*>(object), end - object);
        }
        break;
      default:
        break;
    }
  }

  // Scans the piece of a large object that starts at `at` and leaves the next
  // to the stack; or, without room there, goes on itself.
  void ScanPieces(uintptr_t at) {
    const Span* span = FindSpan(at);
    const uintptr_t object = span->base;
    const uintptr_t end = object + span->object_bytes();
    for (;;) {
      const uintptr_t to = end - at > kPieceBytes ? at + kPieceBytes : end;
      const bool rest_is_pushed = to == end || stack_->Push(to | kPieceBit);
      ScanRange(span->type, span->scan, object, end, at, to);
      if (rest_is_pushed) return;
      at = to;
    }
  }

  void ScanSpanBitmap(const Span* span, uintptr_t cell) {
    const size_t first = (cell - span->base) / kWordBytes;
    const size_t words = span->cell_bytes / kWordBytes;
    ScanMasks(cell, ExtractBits(span->PointerBitmap(), first, words),
              ExtractBits(span->ValueBitmap(), first, words));
  }

  static uint64_t ExtractBits(const uint64_t* bitmap, size_t first,
                              size_t count) {
    const size_t shift = first % kBitsPerWord;
    uint64_t bits = bitmap[first / kBitsPerWord] >> shift;
    if (shift + count > kBitsPerWord) {
      bits |= bitmap[first / kBitsPerWord + 1] << (kBitsPerWord - shift);
    }
    return bits & LowBits(count);
  }

  void ScanCellBitmap(uintptr_t object, uintptr_t end, uintptr_t from,
                      uintptr_t to) {
    const CellBitmaps bitmaps = CellBitmapsOf(object, end);
    WordMaps maps;
    maps.words = static_cast<uint32_t>(bitmaps.words);
    maps.pointers = bitmaps.pointers;
    maps.values = bitmaps.values;
    size_t limit = (to - object) / kWordBytes;
    if (limit > bitmaps.words) limit = bitmaps.words;
    ForEachMappedSlot(
        maps, object, (from - object) / kWordBytes, limit,
        [this](WordKind kind, uintptr_t slot) { VisitSlot(kind, slot); });
  }

  const ArenaMap& arenas_;
  const Decoder decode_;
  // Of FollowInsideSpan: cells of the span that are marked; those from its head
  // on have not been scanned.
  uint16_t cells_inside_[kMaxSpanCells];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_OBJECT_SCANNER_H_
