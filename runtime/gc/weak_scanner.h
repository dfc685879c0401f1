// What a marker does with objects that have weak or ephemeron words; see
// weak_words.h.
//
// While it marks what is strongly reachable it only notes them. Afterwards one
// marker, alone, resolves: it looks at the ephemeron records of all that were
// noted, and of each object with some that it comes to from then on. Where a
// key is not marked, the record goes into the index under that key; whenever an
// object is marked, the records that wait for it are looked at again. So each
// record is looked at once for each of its keys, and once more.

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
  using Base::lost_records_;
  using Base::page_heap_;
  using Base::Push;

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
                     [this](const WordMaps& maps, uintptr_t record) {
                       ResolveRecord(maps, record);
                     });
  }

  // A cell has been marked while resolving.
  void ResolveRecordsOf(uintptr_t key) {
    index_->Take(key, [this](uintptr_t record) {
      const Span* span = FindSpan(record);
      const uintptr_t cell = span->CellAddress(span->CellIndex(record));
      const Type* type = span->TypeOf(cell);
      const bool is_prefix = record == cell && type->prefix.IsEphemeron();
      ResolveRecord(is_prefix ? type->prefix : type->element, record);
    });
  }

 private:
  void ResolveRecord(const WordMaps& maps, uintptr_t record) {
    uintptr_t key = 0;  // the cell of one that is not marked
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
          if (kind != WordKind::kEphemeronKey || key != 0) return;
          key = FindUnmarked(*page_heap_, decode_(Load(slot)));
        });
    if (key != 0) {
      if (!index_->Add(key, record)) lost_records_ = true;
      return;
    }
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [this](WordKind kind, uintptr_t slot) {
          if (kind == WordKind::kEphemeronValue) Push(decode_(Load(slot)));
        });
  }

  void KeepIfNeverCleared(uintptr_t address) {
    const Span* span = FindSpan(address);
    if (span == nullptr) return;
    const size_t index = span->CellIndex(address);
    if (index >= span->cell_count || span->IsMarked(index)) return;
    const Type* type = span->TypeOf(span->CellAddress(index));
    if (type != nullptr && (type->flags & kTypeNeverCleared) != 0) {
      Push(address);
    }
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_WEAK_SCANNER_H_
