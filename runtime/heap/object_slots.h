// The slots of any object, for code off the marker's hot path.

#ifndef LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_
#define LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_

#include <cstdint>

#include "runtime/heap/span.h"
#include "runtime/heap/type_layout.h"

namespace loam {

// Calls visit(kind, slot address) for every slot of the object in `cell` whose
// layout says where they are, weak ones too. Returns the type whose trace
// callback knows instead, or NULL.
template <typename Visit>
const Type* ForEachSlot(const Span& span, uintptr_t cell, Visit&& visit) {
  const Type* type = span.TypeOf(cell);
  ScanKind scan = span.scan;
  if (scan == ScanKind::kHeaded) {
    if (type == nullptr) return nullptr;
    scan = type->scan;
  }
  const uintptr_t end = cell + span.object_bytes();
  switch (scan) {
    case ScanKind::kNoscan:
    case ScanKind::kHeaded:
      return nullptr;
    case ScanKind::kValues:
      for (uintptr_t slot = cell; slot < end; slot += kWordBytes) {
        visit(WordKind::kValue, slot);
      }
      return nullptr;
    case ScanKind::kWeakLayout:
      ForEachLayoutSlot<SlotStrength::kWeak>(*type, cell, end, cell, end,
                                             visit);
      [[fallthrough]];
    case ScanKind::kMasks:
    case ScanKind::kLayout:
      ForEachLayoutSlot(*type, cell, end, cell, end, visit);
      return nullptr;
    case ScanKind::kBitmap: {
      const size_t first = (cell - span.base) / kWordBytes;
      for (size_t i = 0; i < span.cell_bytes / kWordBytes; i++) {
        if (TestBit(span.PointerBitmap(), first + i)) {
          visit(WordKind::kPointer, cell + i * kWordBytes);
        } else if (TestBit(span.ValueBitmap(), first + i)) {
          visit(WordKind::kValue, cell + i * kWordBytes);
        }
      }
      return nullptr;
    }
    case ScanKind::kCellBitmap: {
      const CellBitmaps bitmaps = CellBitmapsOf(cell, end);
      const WordMaps maps = {static_cast<uint32_t>(bitmaps.words),
                             bitmaps.pointers, bitmaps.values, nullptr};
      ForEachMappedSlot(maps, cell, 0, bitmaps.words, visit);
      return nullptr;
    }
    case ScanKind::kCallback:
      return type;
  }
  return nullptr;
}

// What the word at `address` of the object in `cell` holds; kAmbiguous where
// only a trace callback knows.
inline WordKind SlotKindAt(const Span& span, uintptr_t cell,
                           uintptr_t address) {
  const auto in_maps = [](const WordMaps& maps, size_t bit) {
    const auto test = [bit](const uint64_t* map) {
      return map != nullptr && TestBit(map, bit);
    };
    return test(maps.pointers)           ? WordKind::kPointer
           : test(maps.values)           ? WordKind::kValue
           : test(maps.ambiguous)        ? WordKind::kAmbiguous
           : test(maps.weak_pointers)    ? WordKind::kWeakPointer
           : test(maps.weak_values)      ? WordKind::kWeakValue
           : test(maps.ephemeron_keys)   ? WordKind::kEphemeronKey
           : test(maps.ephemeron_values) ? WordKind::kEphemeronValue
                                         : WordKind::kData;
  };
  const auto in_bitmaps = [&](const uint64_t* pointers, const uint64_t* values,
                              size_t bit) {
    WordMaps maps;
    maps.pointers = pointers;
    maps.values = values;
    return in_maps(maps, bit);
  };
  const Type* type = span.TypeOf(cell);
  ScanKind scan = span.scan;
  if (scan == ScanKind::kHeaded) {
    if (type == nullptr) return WordKind::kData;
    scan = type->scan;
  }
  const size_t offset = address - cell;
  switch (scan) {
    case ScanKind::kNoscan:
    case ScanKind::kHeaded:
      return WordKind::kData;
    case ScanKind::kValues:
      return WordKind::kValue;
    case ScanKind::kCallback:
      return WordKind::kAmbiguous;
    case ScanKind::kBitmap:
      return in_bitmaps(span.PointerBitmap(), span.ValueBitmap(),
                        (address - span.base) / kWordBytes);
    case ScanKind::kCellBitmap: {
      const CellBitmaps maps = CellBitmapsOf(cell, cell + span.object_bytes());
      return offset / kWordBytes >= maps.words
                 ? WordKind::kData
                 : in_bitmaps(maps.pointers, maps.values, offset / kWordBytes);
    }
    case ScanKind::kMasks:
    case ScanKind::kLayout:
    case ScanKind::kWeakLayout: {
      const bool in_tail = offset >= type->size && type->element_size != 0;
      const WordMaps& maps = in_tail ? type->element : type->prefix;
      const size_t word =
          (in_tail ? (offset - type->size) % type->element_size : offset) /
          kWordBytes;
      return word >= maps.words ? WordKind::kData : in_maps(maps, word);
    }
  }
  return WordKind::kData;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_
