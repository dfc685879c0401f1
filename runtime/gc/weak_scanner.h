// What a marker does with objects that have weak or ephemeron words; see
// weak_words.h.
//
// While it marks what is strongly reachable it only notes them. Afterwards one
// marker, alone, resolves: it looks at the ephemeron records of all that were
// noted, and of each object with some that it comes to from then on. Where a
// key is not marked, the index keeps under that key what waits for it:
//
//   an address           the only value of a record with one key: is marked
//   kRecordBit | record  a record with several keys or values: is looked at
//                        again, since another key may not be marked
//
// Whenever an object is marked, what waits for it is taken out. So each record
// is looked at once for each of its keys, and once more.

#ifndef LOAM_RUNTIME_GC_WEAK_SCANNER_H_
#define LOAM_RUNTIME_GC_WEAK_SCANNER_H_

#include "runtime/gc/marker_base.h"
#include "runtime/gc/weak_words.h"

namespace loam {

template <typename Decoder>
class WeakScanner : public MarkerBase<Decoder> {
  using Base = MarkerBase<Decoder>;

 public:
  void VisitWeak(WordKind kind, uintptr_t word) override {
    if (has_never_cleared_) {
      KeepIfNeverCleared(kind == WordKind::kWeakPointer ? word : decode_(word));
    }
  }

 protected:
  using Base::arenas_;
  using Base::decode_;
  using Base::FindSpan;
  using Base::has_never_cleared_;
  using Base::index_;
  using Base::is_resolving_;
  using Base::Load;
  using Base::LoadWord;
  using Base::lost_records_;
  using Base::lowest_;
  using Base::Push;
  using Base::range_;
  using Base::some_key_may_be_dead_;

  WeakScanner(PageHeap* page_heap, MarkWork* work,
              const ValueEncoding& encoding)
      : Base(page_heap, work, encoding) {}

  // The part [from, to) of an object that occupies [object, end).
  void ScanWeakWords(const Type& type, uintptr_t object, uintptr_t end,
                     uintptr_t from, uintptr_t to) {
    const Span* span = FindSpan(object);
    NoteWeakObject(arenas_.Find(span->base), *span);
    if (is_resolving_) Resolve(type, object, end, from, to);
  }

  void Resolve(const Type& type, uintptr_t object, uintptr_t end,
               uintptr_t from, uintptr_t to) {
    if (has_never_cleared_) {
      ForEachLayoutSlot<SlotStrength::kWeak>(
          type, object, end, from, to, [this](WordKind kind, uintptr_t slot) {
            if (kind == WordKind::kEphemeronValue) return;
            VisitWeak(kind, Load(slot));
          });
    }
    ForEachEphemeron(type, object, end, from, to,
                     [this](const WordMaps& maps, uintptr_t record)
                         __attribute__((always_inline)) {
                           if (maps.only_key != WordMaps::kSeveral &&
                               maps.only_value != WordMaps::kSeveral) {
                             ResolvePair(LoadWord(record, maps.only_key),
                                         LoadWord(record, maps.only_value));
                           } else {
                             ResolveRecord(maps, record);
                           }
                         });
  }

  // A cell has been marked while resolving.
  void ResolveRecordsOf(uintptr_t key) {
    index_->Take(key, [this](uintptr_t waiting) {
      if ((waiting & kRecordBit) == 0) return Push(waiting);
      const uintptr_t record = waiting & ~kRecordBit;
      const Span* span = FindSpan(record);
      const uintptr_t cell = span->CellOf(record);
      const Type* type = span->TypeOf(cell);
      const bool is_prefix = record == cell && type->prefix.IsEphemeron();
      ResolveRecord(is_prefix ? type->prefix : type->element, record);
    });
  }

 private:
  static constexpr uintptr_t kRecordBit = uintptr_t{1} << 63;

  struct Cell {
    uintptr_t base = 0;  // 0: there is none
    const Span* span = nullptr;
  };
  // The unmarked cell that an address lies in.
  Cell FindUnmarkedCell(uintptr_t address) const {
    const Span* span = FindSpan(address);
    if (span == nullptr) return {};
    const size_t index = span->CellIndex(address);
    if (index >= span->cell_count || span->IsMarked(index)) return {};
    return {span->CellAddress(index), span};
  }

  void AddToIndex(const Cell& key, uintptr_t waiting) {
    if (!index_->Add(key.base, key.span->cell_bytes, waiting)) {
      lost_records_ = true;
    }
  }

  void ResolvePair(uintptr_t key_word, uintptr_t value_word) {
    const uintptr_t value = decode_(value_word);
    if (value - lowest_ >= range_) {
      // Nothing to mark: whether the key lives is asked at the end.
      if (key_word != 0) some_key_may_be_dead_ = true;
      return;
    }
    const Cell key = FindUnmarkedCell(decode_(key_word));
    if (key.base == 0) return Push(value);
    AddToIndex(key, value);
  }

  void ResolveRecord(const WordMaps& maps, uintptr_t record) {
    Cell key;  // of one that is not marked
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
          if (kind != WordKind::kEphemeronKey || key.base != 0) return;
          key = FindUnmarkedCell(decode_(Load(slot)));
        });
    if (key.base != 0) return AddToIndex(key, record | kRecordBit);
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [this](WordKind kind, uintptr_t slot) {
          if (kind == WordKind::kEphemeronValue) Push(decode_(Load(slot)));
        });
  }

  void KeepIfNeverCleared(uintptr_t address) {
    const Cell cell = FindUnmarkedCell(address);
    if (cell.base != 0 && IsNeverCleared(cell.span->TypeOf(cell.base))) {
      Push(address);
    }
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_WEAK_SCANNER_H_
