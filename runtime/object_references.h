// The objects of a heap as a graph: what an object refers to, through which of
// its words, and what that word is called. For those who look at a heap while
// the world is stopped and everything is swept; marking has its own, faster
// ways.

#ifndef LOAM_RUNTIME_OBJECT_REFERENCES_H_
#define LOAM_RUNTIME_OBJECT_REFERENCES_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "runtime/gc/value_encoding.h"
#include "runtime/gc/visitor.h"
#include "runtime/heap/object_slots.h"
#include "runtime/heap/page_heap.h"

namespace loam {

// Whether a word of this kind keeps what it refers to alive, whatever that is.
constexpr bool IsStrong(WordKind kind) {
  return kind == WordKind::kValue || kind == WordKind::kPointer ||
         kind == WordKind::kAmbiguous;
}

// Of names that trace callbacks give; longer ones are cut.
constexpr size_t kPartNameBytes = 128;

struct Reference {
  WordKind kind;
  uintptr_t slot;    // the word; 0 if a trace callback has reported it
  size_t index;      // and then: how many it has reported before,
  const char* part;  // and what it called them; until the visit is over
  uintptr_t target;  // the cell of the object referred to
};

// What the word of an object is called.
struct SlotName {
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr size_t kAny = SIZE_MAX - 1;  // written "[]"

  const char* field = "";  // "" if it has no name
  // Of the array element that the word is in; or of the word among several of a
  // field, or of an object that names none; or of what a trace callback
  // reports.
  size_t index = kNone;
  bool is_array_element = false;  // a word of its own
  bool is_in_element = false;     // index counts elements of several words
  bool is_in_fixed_part = false;  // of a registered type
};
// Of a word that a callback reports after `index` others of a part, which may
// be "".
inline SlotName NameOfReported(const char* part, size_t index) {
  SlotName name;
  name.field = part;
  name.index = part[0] != '\0' && index == 0 ? SlotName::kNone : index;
  return name;
}
SlotName NameOfSlot(const Span& span, uintptr_t cell, uintptr_t slot);

// As one would write it behind the object: ".next", "[3]", "[3].key",
// ".slots[2]". Returns what is in `text`.
std::string_view WriteSlotName(const SlotName& name, char* text, size_t bytes);

// What objects without a type of the embedder's are called, by what they
// consist of.
constexpr char kAmbiguousWordsName[] = "ambiguous words";
const char* NameOfUntyped(ScanKind scan);
// What an object is called: by its type, or by what it consists of.
const char* NameOfObject(const Span& span, uintptr_t cell);
// The type of an object; NULL if it is none of the embedder's.
inline const Type* EmbedderTypeOf(const Span& span, uintptr_t cell) {
  const Type* type = span.TypeOf(cell);
  const bool is_internal =
      type != nullptr && (type->flags & kTypeInternal) != 0;
  return is_internal ? nullptr : type;
}

class ObjectReferences {
 public:
  ObjectReferences(const PageHeap* page_heap, const ValueEncoding& encoding)
      : page_heap_(page_heap), encoding_(encoding) {}

  // The cell of the object that a word refers to; 0 if to none of this heap.
  uintptr_t TargetOf(WordKind kind, uintptr_t word) const {
    const bool is_value =
        kind == WordKind::kValue || kind == WordKind::kWeakValue ||
        kind == WordKind::kEphemeronKey || kind == WordKind::kEphemeronValue;
    return CellOf(is_value ? DecodeValue(encoding_, word) : word);
  }
  // The cell of the object in which an address lies, or 0.
  uintptr_t CellOf(uintptr_t address) const {
    const Span* span = page_heap_->FindSpan(address);
    if (span == nullptr) return 0;
    const size_t index = span->CellIndex(address);
    if (index >= span->cell_count || !span->IsAllocated(index)) return 0;
    return span->CellAddress(index);
  }

  // Whether weak references to the object in a cell are strong.
  bool IsNeverCleared(uintptr_t cell) const {
    return loam::IsNeverCleared(page_heap_->FindSpan(cell)->TypeOf(cell));
  }
  // Calls visit(key) for the cells of the keys through which the ephemeron
  // value in a slot lives.
  template <typename Visit>
  void ForEachKey(uintptr_t cell, uintptr_t slot, Visit&& visit) const {
    const Type& type = *page_heap_->FindSpan(cell)->TypeOf(cell);
    const uintptr_t tail = cell + type.size;
    const bool is_in_tail = slot >= tail && type.element_size != 0;
    const WordMaps& maps = is_in_tail ? type.element : type.prefix;
    const uintptr_t record =
        is_in_tail ? slot - (slot - tail) % type.element_size : cell;
    ForEachMappedSlot<SlotStrength::kWeak>(
        maps, record, 0, maps.words, [&](WordKind kind, uintptr_t key_slot) {
          if (kind != WordKind::kEphemeronKey) return;
          const uintptr_t key =
              TargetOf(kind, *reinterpret_cast<const uintptr_t*>(key_slot));
          if (key != 0) visit(key);
        });
  }

  // Calls visit(reference) for everything that an object refers to.
  template <typename Visit>
  void ForEach(uintptr_t cell, Visit&& visit) const {
    const Span& span = *page_heap_->FindSpan(cell);
    const Type* callback =
        ForEachSlot(span, cell, [&](WordKind kind, uintptr_t slot) {
          const uintptr_t target =
              TargetOf(kind, *reinterpret_cast<const uintptr_t*>(slot));
          if (target != 0) visit(Reference{kind, slot, 0, "", target});
        });
    if (callback == nullptr) return;
    CallbackVisitor<Visit> visitor(this, visit);
    callback->trace(&visitor, reinterpret_cast<void*>(cell),
                    span.object_bytes());
  }

 private:
  template <typename Visit>
  class CallbackVisitor final : public loam_visitor {
   public:
    CallbackVisitor(const ObjectReferences* references, Visit& visit)
        : references_(references), visit_(visit) {}
    void VisitValue(uintptr_t word) override { Report(WordKind::kValue, word); }
    void VisitPointer(uintptr_t address) override {
      Report(WordKind::kPointer, address);
    }
    void VisitAmbiguous(uintptr_t word) override {
      Report(WordKind::kAmbiguous, word);
    }
    void EnterPart(const char* name) override {
      // The embedder may have built it for the call.
      snprintf(part_, sizeof(part_), "%s", name);
      next_index_ = 0;
    }

   private:
    void Report(WordKind kind, uintptr_t word) {
      const size_t index = next_index_++;
      const uintptr_t target = references_->TargetOf(kind, word);
      if (target != 0) visit_(Reference{kind, 0, index, part_, target});
    }

    const ObjectReferences* const references_;
    Visit& visit_;
    char part_[kPartNameBytes] = "";
    size_t next_index_ = 0;
  };

  const PageHeap* const page_heap_;
  const ValueEncoding encoding_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_OBJECT_REFERENCES_H_
