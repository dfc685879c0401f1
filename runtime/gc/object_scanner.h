// Where the references of an object are, for every kind of object.

#ifndef LOAM_RUNTIME_GC_OBJECT_SCANNER_H_
#define LOAM_RUNTIME_GC_OBJECT_SCANNER_H_

#include <algorithm>

#include "runtime/gc/span_scanner.h"

namespace loam {

// Objects above this are scanned in pieces of it.
constexpr size_t kPieceBytes = 128 << 10;

template <typename Decoder>
class ObjectScanner : public SpanScanner<Decoder> {
  using Base = SpanScanner<Decoder>;

 public:
  void ScanObject(Span* span, uintptr_t cell) override { Scan(span, cell); }

 protected:
  using Base::decode_;
  using Base::FindSpan;
  using Base::Load;
  using Base::Push;
  using Base::ScanMasks;
  using Base::ScanPointers;
  using Base::ScanValues;
  using Base::ScanWeakWords;
  using Base::stack_;
  using Base::VisitAmbiguous;

  ObjectScanner(PageHeap* page_heap, MarkWork* work,
                const ValueEncoding& encoding)
      : Base(page_heap, work, encoding) {}

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
      case ScanKind::kWeakLayout:
        ScanWeakWords(*type, object, end, from, to);
        [[fallthrough]];
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
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_OBJECT_SCANNER_H_
