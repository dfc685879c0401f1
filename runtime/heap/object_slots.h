// The slots of any object, for code off the marker's hot path.

#ifndef LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_
#define LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_

#include <cstdint>

#include "runtime/heap/span.h"
#include "runtime/heap/type_layout.h"

namespace loam {

// Calls visit(kind, slot address) for every slot of the object in `cell` whose
// layout says where they are. Returns the type whose trace callback knows
// instead, or NULL.
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

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_OBJECT_SLOTS_H_
