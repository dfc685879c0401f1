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
  static void PushUnchecked(Loop* loop, uintptr_t address) {
    if (address - loop->lowest < loop->range) *loop->top++ = address;
  }

  __attribute__((always_inline)) void ScanMasksInLoop(Loop* loop,
                                                      uintptr_t object,
                                                      uint64_t pointers,
                                                      uint64_t values) {
    if (__builtin_expect(!HasRoom(*loop, 2 * kBitsPerWord), 0)) {
      SaveLoop(*loop);
      ScanMasks(object, pointers, values);
      *loop = LoadLoop();
      return;
    }
    // Two references side by side are the commonest layout of all.
    if (pointers != 0) {
      const int first = std::countr_zero(pointers);
      if (pointers >> first == 3) {
        PushUnchecked(loop, LoadWord(object, first));
        PushUnchecked(loop, LoadWord(object, first + 1));
      } else {
        do {
          PushUnchecked(loop, LoadWord(object, std::countr_zero(pointers)));
          pointers &= pointers - 1;
        } while (pointers != 0);
      }
    }
    while (values != 0) {
      PushUnchecked(loop, decode_(LoadWord(object, std::countr_zero(values))));
      values &= values - 1;
    }
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
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_OBJECT_SCANNER_H_
