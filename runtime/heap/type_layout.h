// Registered types: what each word of an object holds.
//
// A type is a fixed part and an optional trailing array of elements, each
// described by one bitmap per kind of reference that it uses. How the marker
// scans an object is decided at registration (ScanKind), so that the common
// case, a small record, is two 64-bit masks.

#ifndef LOAM_RUNTIME_HEAP_TYPE_LAYOUT_H_
#define LOAM_RUNTIME_HEAP_TYPE_LAYOUT_H_

#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/heap/word_kind.h"

struct loam_visitor;  // What a trace callback reports references to; see gc/.

namespace loam {

class TypeSet;
enum class SpanKind : uint8_t;

// How to find the references of an object. In spans, this is the common
// answer for all cells; kHeaded defers to the type word of each cell.
enum class ScanKind : uint8_t {
  kNoscan,      // there are none
  kValues,      // every word is a value
  kMasks,       // at most 64 words: pointer_mask and value_mask
  kLayout,      // Type::prefix and Type::element
  kWeakLayout,  // the same, with weak or ephemeron words among them
  kCallback,    // Type::trace
  kBitmap,      // two bitmaps at the end of the span
  kCellBitmap,  // two bitmaps at the end of the cell, before its type word
  kHeaded,      // spans only: the type word at the end of each cell
};

using TraceCallback = void (*)(loam_visitor* visitor, void* object,
                               size_t size);
using DisposeCallback = void (*)(void* object, size_t size);

// Bit i of each bitmap speaks for word i; NULL: no word is of that kind.
struct WordMaps {
  uint32_t words = 0;
  const uint64_t* pointers = nullptr;
  const uint64_t* values = nullptr;
  const uint64_t* ambiguous = nullptr;
  const uint64_t* weak_pointers = nullptr;
  const uint64_t* weak_values = nullptr;
  const uint64_t* ephemeron_keys = nullptr;
  const uint64_t* ephemeron_values = nullptr;
  // Of records with one key and one value, which words those are; otherwise
  // kSeveral.
  static constexpr uint32_t kSeveral = UINT32_MAX;
  uint32_t only_key = kSeveral;
  uint32_t only_value = kSeveral;

  // The fixed part of an object, or an element, with ephemeron words is one
  // record: its values live through its keys.
  bool IsEphemeron() const { return ephemeron_keys != nullptr; }
  bool HasWeakWords() const {
    return weak_pointers != nullptr || weak_values != nullptr || IsEphemeron();
  }
  bool HasStrongWords() const {
    return pointers != nullptr || values != nullptr || ambiguous != nullptr;
  }
  bool HasReferences() const { return HasStrongWords() || HasWeakWords(); }
};

// A field's name, for messages: `count` words from byte `offset`.
struct FieldName {
  const char* name;  // "" if it has none
  uint32_t offset;
  uint32_t count;
};

// Immutable once registered, and shared by all heaps of the set.
struct Type {
  // loam_type_abi: the beginning is known to compiled code.
  uint32_t cursor_offset;  // of the type's allocation cursor, in a mutator
  uint32_t cell_bytes;     // of its typed spans

  uint32_t index;  // in its set
  uint32_t flags;  // TypeFlags
  ScanKind scan;
  SpanKind headed_kind;   // of spans for its objects that have a type word
  uint64_t pointer_mask;  // ScanKind::kMasks
  uint64_t value_mask;
  size_t size;       // of the fixed part
  size_t alignment;  // at least 8
  size_t element_size;
  WordMaps prefix;
  WordMaps element;
  // Of elements that are one word, a pointer or a value; otherwise kData.
  WordKind element_kind;
  TraceCallback trace;
  DisposeCallback dispose;
  const char* name;
  const FieldName* fields;  // prefix fields, then element fields
  uint32_t field_count;
  uint32_t element_field_count;
  void* user;
  const TypeSet* set;

  bool is_fixed_size() const { return element_size == 0; }
  bool has_references() const { return scan != ScanKind::kNoscan; }
};

enum TypeFlags : uint32_t {
  kTypeHot = 1u << 0,
  kTypeNeverCleared = 1u << 1,
  kTypeTraceStopped = 1u << 2,
  kTypeDisposeQueued = 1u << 3,
  // Not a type of the embedder's: objects without a type that need a type word
  // all the same.
  kTypeInternal = 1u << 31,
};

// Whether weak references to objects of the type are strong; NULL: no type.
inline bool IsNeverCleared(const Type* type) {
  return type != nullptr && (type->flags & kTypeNeverCleared) != 0;
}

// The name of the field that holds the word at `offset` of an object, and for
// elements their index; for messages.
struct FieldPosition {
  const char* name;  // "" if unnamed
  bool in_element;
  size_t element_index;
  size_t offset;                     // within the fixed part or the element
  const FieldName* field = nullptr;  // NULL: none covers the word
};
FieldPosition FindField(const Type& type, size_t offset);

// Where a kCellBitmap object, which occupies [object, end), keeps its two
// bitmaps: behind its own words, one bit for each word up to `end`.
struct CellBitmaps {
  uint64_t* pointers;
  uint64_t* values;
  size_t words;  // that the object itself may use
};
inline CellBitmaps CellBitmapsOf(uintptr_t object, uintptr_t end) {
  const size_t map_words = BitmapWords((end - object) / kWordBytes);
  CellBitmaps bitmaps;
  bitmaps.values = reinterpret_cast<uint64_t*>(end) - map_words;
  bitmaps.pointers = bitmaps.values - map_words;
  bitmaps.words = (end - object) / kWordBytes - 2 * map_words;
  return bitmaps;
}

// Which words of a layout: those that marking follows, or the others.
enum class SlotStrength : bool { kStrong, kWeak };

// Calls visit(kind, slot address) for every slot of `maps` in the word range
// [first, end) of the words at `base`. Visit order is descending, so that a
// stack serves the first word first.
template <SlotStrength kStrength = SlotStrength::kStrong, typename Visit>
void ForEachMappedSlot(const WordMaps& maps, uintptr_t base, size_t first,
                       size_t end, Visit&& visit) {
  const auto one_map = [&](const uint64_t* map, WordKind kind) {
    if (map == nullptr) return;
    for (size_t w = BitmapWords(end); w-- > first / kBitsPerWord;) {
      uint64_t bits = map[w];
      if (w == first / kBitsPerWord) bits &= ~LowBits(first % kBitsPerWord);
      if (end - w * kBitsPerWord < kBitsPerWord) {
        bits &= LowBits(end - w * kBitsPerWord);
      }
      while (bits != 0) {
        const size_t bit = 63 - std::countl_zero(bits);
        bits &= ~(uint64_t{1} << bit);
        visit(kind, base + (w * kBitsPerWord + bit) * kWordBytes);
      }
    }
  };
  if (first >= end) return;
  if constexpr (kStrength == SlotStrength::kStrong) {
    one_map(maps.pointers, WordKind::kPointer);
    one_map(maps.values, WordKind::kValue);
    one_map(maps.ambiguous, WordKind::kAmbiguous);
  } else {
    one_map(maps.weak_pointers, WordKind::kWeakPointer);
    one_map(maps.weak_values, WordKind::kWeakValue);
    one_map(maps.ephemeron_keys, WordKind::kEphemeronKey);
    one_map(maps.ephemeron_values, WordKind::kEphemeronValue);
  }
}

// The same for an object of a kLayout or kWeakLayout type that occupies
// [object, end), limited to slots in [from, to).
template <SlotStrength kStrength = SlotStrength::kStrong, typename Visit>
void ForEachLayoutSlot(const Type& type, uintptr_t object, uintptr_t end,
                       uintptr_t from, uintptr_t to, Visit&& visit) {
  const auto has_some = [](const WordMaps& maps) {
    return kStrength == SlotStrength::kStrong ? maps.HasStrongWords()
                                              : maps.HasWeakWords();
  };
  const uintptr_t tail = object + type.size;
  if (to > end) to = end;
  if (has_some(type.element) && to > tail) {
    const size_t element_size = type.element_size;
    const size_t elements = (end - tail) / element_size;
    const uintptr_t start = from > tail ? from : tail;
    size_t index = (start - tail) / element_size;
    for (; index < elements; index++) {
      const uintptr_t base = tail + index * element_size;
      if (base >= to) break;
      const size_t first = base < from ? (from - base) / kWordBytes : 0;
      const size_t limit = base + element_size > to ? (to - base) / kWordBytes
                                                    : element_size / kWordBytes;
      ForEachMappedSlot<kStrength>(type.element, base, first, limit, visit);
    }
  }
  if (has_some(type.prefix) && from < tail) {
    const size_t first = from > object ? (from - object) / kWordBytes : 0;
    size_t limit = type.prefix.words;
    if (to < object + limit * kWordBytes) limit = (to - object) / kWordBytes;
    ForEachMappedSlot<kStrength>(type.prefix, object, first, limit, visit);
  }
}

// Calls visit(maps, address) for every ephemeron record of an object of a
// kWeakLayout type that begins in [from, to).
template <typename Visit>
void ForEachEphemeron(const Type& type, uintptr_t object, uintptr_t end,
                      uintptr_t from, uintptr_t to, Visit&& visit) {
  if (type.prefix.IsEphemeron() && from == object) visit(type.prefix, object);
  if (!type.element.IsEphemeron()) return;
  const uintptr_t tail = object + type.size;
  uintptr_t record =
      from <= tail ? tail
                   : tail + DivideRoundingUp(from - tail, type.element_size) *
                                type.element_size;
  for (; record < to && record + type.element_size <= end;
       record += type.element_size) {
    visit(type.element, record);
  }
}

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_TYPE_LAYOUT_H_
