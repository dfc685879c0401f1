#include "runtime/heap_map.h"

#include "runtime/base/bits.h"
#include "runtime/sweep/sweep_generation.h"

namespace loam {

SpanReading ReadSpan(const Span& span, uint32_t generation) {
  const uint32_t sweepgen = span.sweepgen.load(std::memory_order_relaxed);
  SpanReading reading;
  switch (SweepStateOf(sweepgen, generation)) {
    case SweepState::kSwept:
      reading.state = MapSpanState::kSwept;
      break;
    case SweepState::kCached:
      reading.state = MapSpanState::kCached;
      break;
    default:  // Nobody sweeps meanwhile.
      reading.state = MapSpanState::kUnswept;
      break;
  }
  const uint32_t cells = span.cell_count;
  if (reading.state == MapSpanState::kUnswept) {
    reading.cells_in_use =
        static_cast<uint32_t>(CountSet(span.mark_bits, 0, cells));
  } else {
    const uint32_t free_index = span.free_index();
    reading.cells_in_use =
        free_index +
        static_cast<uint32_t>(CountSet(span.alloc_bits(), free_index, cells));
  }
  return reading;
}

bool HeapMapTotals::Initialize() {
  return classes_.Reserve(&ledger_, kMapClassCount) &&
         map_types_.Reserve(&ledger_, kMapTypeCount);
}

HeapMapTotals::~HeapMapTotals() {
  classes_.Release();
  map_types_.Release();
}

SpanClass HeapMapTotals::ClassOf(const Span& span) {
  switch (span.kind) {
    case SpanKind::kLarge:
      return kLargeMapClass;
    case SpanKind::kTyped:
      return TypedSpanClass(*span.type);
    default:
      return ClassedSpanClass(span.kind, span.size_class);
  }
}

MapType HeapMapTotals::MapTypeOf(const Span& span, const Type* type) const {
  if (type == nullptr) {
    return kFirstUntypedMapType + static_cast<MapType>(span.scan);
  }
  if ((type->flags & kTypeInternal) == 0) return type->index;
  MapType which = 0;
  while (type !=
         types_.internal_type(static_cast<TypeSet::InternalType>(which))) {
    which++;
  }
  return kFirstInternalMapType + which;
}

const char* HeapMapTotals::NameOf(MapType map_type,
                                  const MapTypeTotals& totals) {
  if (totals.type != nullptr) return totals.type->name;
  switch (map_type - kFirstInternalMapType) {
    case TypeSet::kAmbiguousWords:
      return "ambiguous words";
    case TypeSet::kCellBitmap:
      return "large objects with a bitmap";
    case TypeSet::kEphemeron:
      return "ephemerons";
    case TypeSet::kWeakMap:
      return "weak maps";
    case TypeSet::kWeakMapEntries:
      return "entries of weak maps";
    default:
      break;
  }
  switch (static_cast<ScanKind>(map_type - kFirstUntypedMapType)) {
    case ScanKind::kNoscan:
      return "bytes";
    case ScanKind::kValues:
      return "slots";
    case ScanKind::kBitmap:
      return "objects with a bitmap";
    default:
      return "not set up yet";
  }
}

bool HeapMapTotals::AddObjects(const Span& span, const Type* type,
                               uint64_t objects) {
  // The program may have written past the end of its object.
  if (type != nullptr && !types_.Owns(type)) type = nullptr;
  const MapType map_type = MapTypeOf(span, type);
  MapTypeTotals* totals = map_types_.EnsureCommitted(map_type);
  if (totals == nullptr) return false;
  if (totals->next == 0) {
    totals->type = map_type < kMaxTypes ? type : nullptr;
    totals->next = first_type_;
    first_type_ = map_type + 1;
  }
  totals->objects += objects;
  totals->bytes += objects * span.cell_bytes;
  return true;
}

bool HeapMapTotals::Add(const Span& span, const SpanReading& reading) {
  const SpanClass span_class = ClassOf(span);
  MapClassTotals* totals = classes_.EnsureCommitted(span_class);
  if (totals == nullptr) return false;
  if (totals->next == 0) {
    totals->kind = span.kind;
    totals->type = span.kind == SpanKind::kTyped ? span.type : nullptr;
    totals->next = first_class_;
    first_class_ = span_class + 1;
  }
  totals->spans++;
  totals->pages += span.page_count;
  totals->cells += span.cell_count;
  totals->cells_in_use += reading.cells_in_use;
  totals->cell_bytes = span.cell_bytes;
  totals->span_pages = span.page_count;
  totals->span_cells = span.cell_count;

  if (!span.is_headed()) {
    return AddObjects(span, span.type, reading.cells_in_use);
  }
  // Most neighbours are of one type: added together.
  const Type* type = nullptr;
  uint64_t objects = 0;
  for (size_t i = 0; i < span.cell_count; i++) {
    if (!reading.IsInUse(span, i)) continue;
    const Type* next = span.TypeOf(span.CellAddress(i));
    if (next != type && objects > 0) {
      if (!AddObjects(span, type, objects)) return false;
      objects = 0;
    }
    type = next;
    objects++;
  }
  return objects == 0 || AddObjects(span, type, objects);
}

}  // namespace loam
